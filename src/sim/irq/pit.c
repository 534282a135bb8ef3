/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pit: the 8254 with its three channels, of which channel 0 drives GSI 0, and port 0x61, which gates channel
 * 2. The caller holds the VM's interrupt lock. Law: 8254 data sheet, or KVM where KVM differs from it (in
 * mode 1, OUT is high while the channel counts).
 */
#include <string.h>

#include "irq.h"

#define HZ           1193182u
#define NS           1000000000u
#define PORT_BASE    0x40
#define PORT_CONTROL 0x43
#define PORT_SPEAKER 0x61
#define PERIOD_MIN   239u /* ticks: IRQ_TIMER_NS_MIN */

enum { LSB = 1, MSB = 2, WORD_LOW = 3, WORD_HIGH = 4 }; /* read_state, write_state, count_latched */

static uint64_t scale(uint64_t value, uint32_t mul, uint32_t div)
{
	return (uint64_t)((unsigned __int128)value * mul / div);
}

static uint64_t elapsed_ticks(const struct kvm_pit_channel_state *c, uint64_t now_ns)
{
	uint64_t load = (uint64_t)c->count_load_time;

	return now_ns <= load ? 0 : scale(now_ns - load, HZ, NS);
}

/* A channel that was never loaded counts as if it had been loaded with 65,536. */
static uint32_t count_of(const struct kvm_pit_channel_state *c)
{
	return c->count ? c->count : 0x10000;
}

static uint16_t current(const struct kvm_pit_channel_state *c, uint64_t now_ns)
{
	uint64_t ticks = elapsed_ticks(c, now_ns);
	uint32_t count = count_of(c);

	switch (c->mode) {
	case 2: return (uint16_t)(count - ticks % count);
	case 3: return (uint16_t)(count - 2 * ticks % count);
	default: return (uint16_t)(count - ticks);
	}
}

static bool output(const struct kvm_pit_channel_state *c, uint64_t now_ns)
{
	uint64_t ticks = elapsed_ticks(c, now_ns);
	uint32_t count = count_of(c);

	switch (c->mode) {
	case 0: return ticks >= count;
	case 1: return ticks < count;
	case 2: return ticks && ticks % count == 0;
	case 3: return ticks % count < (count + 1) / 2;
	default: return ticks == count;
	}
}

static bool repeats(const struct irq_pit *pit)
{
	return pit->channel[0].mode == 2 || pit->channel[0].mode == 3;
}

/*
 * Sets the time of channel 0's next tick. It follows from the number of ticks since the channel was loaded,
 * so that rounding errors do not add up.
 */
static void set_timer(struct irq_pit *pit)
{
	const struct kvm_pit_channel_state *c = &pit->channel[0];
	uint32_t count = count_of(c);

	if (repeats(pit) && count < PERIOD_MIN)
		count = PERIOD_MIN;
	if (c->mode == 5 || (pit->flags & KVM_PIT_FLAGS_HPET_LEGACY) || (!repeats(pit) && pit->ticks))
		pit->timer_at_ns = IRQ_NEVER;
	else
		pit->timer_at_ns = (uint64_t)c->count_load_time + scale((pit->ticks + 1) * count, NS, HZ);
}

static void load(struct irq_pit *pit, unsigned channel, uint32_t count, uint64_t now_ns)
{
	struct kvm_pit_channel_state *c = &pit->channel[channel];

	c->count = count ? count : 0x10000;
	c->count_load_time = (int64_t)now_ns;
	if (channel == 0) {
		pit->ticks = 0;
		set_timer(pit);
	}
}

void irq_pit_reset(struct irq_pit *pit, uint64_t now_ns)
{
	bool speaker = pit->speaker;

	*pit = (struct irq_pit){.speaker = speaker, .reinject = true, .timer_at_ns = IRQ_NEVER};
	for (unsigned i = 0; i < 3; i++)
		pit->channel[i] = (struct kvm_pit_channel_state){
		        .count = 0x10000, .mode = 0xff, .gate = i != 2, .count_load_time = (int64_t)now_ns};
}

bool irq_pit_run(struct irq_pit *pit, uint64_t now_ns)
{
	uint64_t period;

	if (pit->timer_at_ns > now_ns)
		return false;
	/* Late ticks are merged into one. */
	period = scale(
	        count_of(&pit->channel[0]) < PERIOD_MIN ? PERIOD_MIN : count_of(&pit->channel[0]), NS, HZ);
	pit->ticks += 1 + (now_ns - pit->timer_at_ns) / period;
	set_timer(pit);
	if (pit->timer_at_ns <= now_ns) { /* because of rounding */
		pit->ticks++;
		set_timer(pit);
	}
	return true;
}

static void latch_count(struct kvm_pit_channel_state *c, uint64_t now_ns)
{
	if (c->count_latched)
		return;
	c->latched_count = current(c, now_ns);
	c->count_latched = c->rw_mode;
}

static void latch_status(struct kvm_pit_channel_state *c, uint64_t now_ns)
{
	if (c->status_latched)
		return;
	c->status = (uint8_t)(output(c, now_ns) << 7 | c->rw_mode << 4 | (c->mode & 7) << 1 | c->bcd);
	c->status_latched = 1;
}

static void write_control(struct irq_pit *pit, uint8_t value, uint64_t now_ns)
{
	struct kvm_pit_channel_state *c = &pit->channel[value >> 6 & 3];

	if (value >> 6 == 3) { /* read-back, for any of the channels */
		for (unsigned i = 0; i < 3; i++) {
			if (!(value & 2u << i))
				continue;
			if (!(value & 0x20))
				latch_count(&pit->channel[i], now_ns);
			if (!(value & 0x10))
				latch_status(&pit->channel[i], now_ns);
		}
	} else if (!(value & 0x30)) {
		latch_count(c, now_ns);
	} else {
		c->rw_mode = c->read_state = c->write_state = value >> 4 & 3;
		c->mode = value >> 1 & 7;
		if (c->mode > 5)
			c->mode -= 4;
		c->bcd = value & 1;
	}
}

static void write_count(struct irq_pit *pit, unsigned channel, uint8_t value, uint64_t now_ns)
{
	struct kvm_pit_channel_state *c = &pit->channel[channel];

	switch (c->write_state) {
	case MSB: load(pit, channel, (uint32_t)value << 8, now_ns); break;
	case WORD_LOW:
		c->write_latch = value;
		c->write_state = WORD_HIGH;
		break;
	case WORD_HIGH:
		c->write_state = WORD_LOW;
		load(pit, channel, c->write_latch | (uint32_t)value << 8, now_ns);
		break;
	default: load(pit, channel, value, now_ns);
	}
}

static uint8_t read_latched(struct kvm_pit_channel_state *c)
{
	uint8_t how = c->count_latched;

	c->count_latched = how == WORD_LOW ? MSB : 0;
	return (uint8_t)(how == MSB ? c->latched_count >> 8 : c->latched_count);
}

static uint8_t read_count(struct kvm_pit_channel_state *c, uint64_t now_ns)
{
	uint16_t count;

	if (c->status_latched) {
		c->status_latched = 0;
		return c->status;
	}
	if (c->count_latched)
		return read_latched(c);
	count = current(c, now_ns);
	switch (c->read_state) {
	case MSB: return (uint8_t)(count >> 8);
	case WORD_LOW: c->read_state = WORD_HIGH; return (uint8_t)count;
	case WORD_HIGH: c->read_state = WORD_LOW; return (uint8_t)(count >> 8);
	default: return (uint8_t)count;
	}
}

static void write_speaker(struct irq_pit *pit, uint8_t value, uint64_t now_ns)
{
	struct kvm_pit_channel_state *c = &pit->channel[2];

	if (value & 2)
		pit->flags |= KVM_PIT_FLAGS_SPEAKER_DATA_ON;
	else
		pit->flags &= ~KVM_PIT_FLAGS_SPEAKER_DATA_ON;
	/* A rising gate restarts the channel in every mode but 0 and 4. */
	if (!c->gate && (value & 1) && c->mode != 0 && c->mode != 4)
		c->count_load_time = (int64_t)now_ns;
	c->gate = value & 1;
}

static uint8_t read_speaker(const struct irq_pit *pit, uint64_t now_ns)
{
	return (uint8_t)(pit->channel[2].gate | (pit->flags & KVM_PIT_FLAGS_SPEAKER_DATA_ON ? 2 : 0) |
	                 (now_ns >> 14 & 1) << 4 | output(&pit->channel[2], now_ns) << 5);
}

bool irq_pit_port(const struct irq_pit *pit, uint16_t port)
{
	return pit && ((port & ~3) == PORT_BASE || (pit->speaker && port == PORT_SPEAKER));
}

uint8_t irq_pit_read(struct irq_pit *pit, uint16_t port, uint64_t now_ns)
{
	if (port == PORT_SPEAKER)
		return read_speaker(pit, now_ns);
	return port == PORT_CONTROL ? 0 : read_count(&pit->channel[port & 3], now_ns);
}

void irq_pit_write(struct irq_pit *pit, uint16_t port, uint8_t value, uint64_t now_ns)
{
	if (port == PORT_SPEAKER)
		write_speaker(pit, value, now_ns);
	else if (port == PORT_CONTROL)
		write_control(pit, value, now_ns);
	else
		write_count(pit, port & 3, value, now_ns);
}

void irq_pit_set_state(struct irq_pit *pit, const struct kvm_pit_state2 *state, uint64_t now_ns)
{
	memcpy(pit->channel, state->channels, sizeof(pit->channel));
	pit->flags = state->flags;
	/* The counters start again from their loaded value, as KVM's do. */
	for (unsigned i = 0; i < 3; i++) {
		pit->channel[i].mode = pit->channel[i].mode > 5 ? 0xff : pit->channel[i].mode;
		pit->channel[i].gate &= 1;
		pit->channel[i].count &= 0x1ffff;
		pit->channel[i].count_load_time = (int64_t)now_ns;
	}
	pit->ticks = 0;
	if (pit->channel[0].mode == 0xff)
		pit->timer_at_ns = IRQ_NEVER;
	else
		set_timer(pit);
}
