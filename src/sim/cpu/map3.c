/*
 * map3: the rows of the opcodes behind 0F 38 but SSE's (APM 3, appendix A).
 */
#include "ops.h"

#define M ROW_MODRM

static const struct row movbe_load[4] = {
        {.fn = op_movbe_load, .flags = M | ROW_MEM, .feature = FEATURE_MOVBE},
        {.fn = op_movbe_load, .flags = M | ROW_MEM, .feature = FEATURE_MOVBE},
        {0},
        {.fn = op_crc32, .flags = M | ROW_BYTE, .feature = FEATURE_SSE42},
};
static const struct row movbe_store[4] = {
        {.fn = op_movbe_store, .flags = M | ROW_MEM, .feature = FEATURE_MOVBE},
        {.fn = op_movbe_store, .flags = M | ROW_MEM, .feature = FEATURE_MOVBE},
        {0},
        {.fn = op_crc32, .flags = M, .feature = FEATURE_SSE42},
};
static const struct row adx[4] = {
        {0},
        {.fn = op_adcx, .flags = M | ROW_Y, .feature = FEATURE_ADX},
        {.fn = op_adox, .flags = M | ROW_Y, .feature = FEATURE_ADX},
        {0},
};

const struct row sim_map38[256] = {
        [0xf0] = {.by = SUB_PREFIX, .sub = movbe_load},
        [0xf1] = {.by = SUB_PREFIX, .sub = movbe_store},
        [0xf6] = {.by = SUB_PREFIX, .sub = adx},
};
