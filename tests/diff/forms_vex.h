/* SPDX-License-Identifier: Apache-2.0 */
/* clang-format off */
/*
 * forms_vex: the forms of the instructions that VEX encodes: map and prefix, opcode, and what else there is.
 */
        {"v38.np f2 /r", AF | PF, VREG | VL0, DIFF_BMI1},
        {"v38.np f3 /r", AF | PF, VREG | VL0, DIFF_BMI1},
        {"v38.np f3 /1", AF | PF, VREG | VL0, DIFF_BMI1},
        {"v38.np f3 /2", AF | PF, VREG | VL0, DIFF_BMI1},
        {"v38.np f3 /3", AF | PF, VREG | VL0, DIFF_BMI1},
        {"v38.np f7 /r", AF | SF | PF, VREG | VL0, DIFF_BMI1},
        {"v38.np f5 /r", AF | PF, VREG | VL0, DIFF_BMI2},
        {"v38.f3 f5 /r", 0, VREG | VL0, DIFF_BMI2},
        {"v38.f2 f5 /r", 0, VREG | VL0, DIFF_BMI2},
        {"v38.f2 f6 /r", 0, VREG | VL0, DIFF_BMI2},
        {"v38.66 f7 /r", 0, VREG | VL0, DIFF_BMI2},
        {"v38.f3 f7 /r", 0, VREG | VL0, DIFF_BMI2},
        {"v38.f2 f7 /r", 0, VREG | VL0, DIFF_BMI2},
        {"v3a.f2 f0 /r ib", 0, VL0, DIFF_BMI2},
