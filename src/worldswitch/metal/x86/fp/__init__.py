"""Floating-point arithmetic of x86, as pure typed functions on integers.

Nothing here knows the processor's state. An SSE number is its 32 or 64 bits (u32, u64); an x87
number is a u128 with the register's 80 bits at the right (`u128(significand) | u128(exponent) <<
64`). No function leaves.

SSE (module `sse`). `mxcsr` is the whole register: rounding control, FTZ, DAZ, the masks and the
sticky flags all count. The u32 next to a result holds the flags IE DE ZE OE UE PE in MXCSR's bits
5:0; a flag that is sticky and masked already may be missing. An instruction ORs the flags of all
its elements and calls `settle` once; if that says #XM, no result is written. Results are those of
masked responses.

    function                         arguments                      result
    add64 sub64 mul64 div64          a: u64, b: u64, mxcsr: u32     (u64, flags u32)
    min64 max64                      a: u64, b: u64, mxcsr: u32     (u64, flags)
    sqrt64                           a: u64, mxcsr: u32             (u64, flags)
    fma64                            a, b, c: u64, negate: u32, mxcsr: u32   (u64, flags)
        a * b + c; negate: bit 0 inverts the product's sign (VFNM...), bit 1 the addend's (...SUB);
        a, b, c are the operands that the digits of the mnemonic name, in their order
    comis64 ucomis64                 a: u64, b: u64, mxcsr: u32     (ZF PF CF of RFLAGS u64, flags)
        the instruction clears OF, SF, AF itself
    cmp64                            a: u64, b: u64, predicate: u32, mxcsr: u32   (u64, flags)
        predicate 0-31; all ones or zero (legacy SSE: three bits of the immediate, VEX: five)
    round64                          a: u64, immediate: u32, mxcsr: u32   (u64, flags)
    the same with 32 for 64: u32 in place of u64 for numbers
    i32_to_f64                       value: u32                     u64
    i64_to_f64                       value: u64, mxcsr: u32         (u64, flags)
    i32_to_f32                       value: u32, mxcsr: u32         (u32, flags)
    i64_to_f32                       value: u64, mxcsr: u32         (u32, flags)
    f64_to_i32 f64_to_i32_truncated  a: u64, mxcsr: u32             (u32, flags)
    f64_to_i64 f64_to_i64_truncated  a: u64, mxcsr: u32             (u64, flags)
    f32_to_i32 f32_to_i32_truncated  a: u32, mxcsr: u32             (u32, flags)
    f32_to_i64 f32_to_i64_truncated  a: u32, mxcsr: u32             (u64, flags)
    f32_to_f64                       a: u32, mxcsr: u32             (u64, flags)
    f64_to_f32                       a: u64, mxcsr: u32             (u32, flags)
    rcp32 rsqrt32                    a: u32                         u32 (the estimates; no flags)
    f16_to_f32                       a: u32 (16 bits), mxcsr: u32   (u32, flags)
    f32_to_f16                       a: u32, immediate: u32, mxcsr: u32   (u32 (16 bits), flags)
    settle                           mxcsr: u32, flags: u32         (MXCSR after u32, #XM bool)

x87 (module `x87`). `control` is the control word: masks, precision and rounding control. The u16
next to a result is in the status word's positions: IE DE ZE OE UE PE in bits 5:0, C0 C1 C2 C3 in
bits 8, 9, 10, 14; bit 15 if the operation defines all of C0 C2 C3. `withheld` tells whether an
unmasked exception keeps the instruction from writing its register (and popping), `withheld_store`
the same for a store to memory; `status_after` gives the status word. Stack overflow and underflow
are the caller's, whose result then is INDEFINITE (and `invalid_status` with C1).

    function                         arguments                      result
    f80_add f80_sub f80_mul f80_div  a: u128, b: u128, control: u16 (u128, status u16)
        a - b and a / b: the reversed instructions exchange them
    f80_sqrt f80_round               a: u128, control: u16          (u128, status); FRNDINT
    f80_scale                        a: u128, b: u128, control: u16 (u128, status); a * 2**trunc(b)
    f80_extract                      a: u128, control: u16          (exponent, significand, status)
        FXTRACT: the exponent replaces ST(0), then the significand is pushed
    f80_rem                          a: u128, b: u128, nearest: bool, control: u16   (u128, status)
        FPREM; FPREM1 with nearest
    f80_compare                      a: u128, b: u128, quiet: bool, control: u16   status, C3 C2 C0
        quiet: FUCOM, which takes a QNaN as no invalid operation
    eflags_of                        status: u16                    ZF PF CF of RFLAGS u64 (FCOMI)
    f80_examine                      a: u128, empty: bool           status (FXAM)
    f80_abs f80_chs                  a: u128                        u128
    f80_constant                     which: u16, control: u16       u128
        which: the last three bits of D9 E8+i: 1, log2 10, log2 e, pi, log10 2, ln 2, 0
    f80_of_f32 f80_of_f64            bits: u32 / u64, control: u16  (u128, status); FLD
    operand_f32 operand_f64          bits: u32 / u64                u128; FADD m32 and the like
        marks what was denormal, so that the operation reports it: never store this
    f80_of_i64                       value: u64 (sign-extended)     u128; FILD, FIADD
    f80_to_f32 f80_to_f64            a: u128, control: u16          (u32 / u64, status)
    f80_to_i16 f80_to_i32 f80_to_i64 a: u128, truncate: bool, control: u16   (u16/u32/u64, status)
    f80_of_bcd                       packed: u128 (80 bits)         u128
    f80_to_bcd                       a: u128, control: u16          (u128 (80 bits), status)
    f80_2xm1 f80_sin f80_cos         a: u128, control: u16          (u128, status)
    f80_sincos                       a: u128, control: u16          (sine, cosine, status)
        the sine replaces ST(0), then the cosine is pushed
    f80_tan                          a: u128, control: u16          (u128, status)
        1.0 is pushed then
        sin, cos, tan: C2 in the status if the operand is out of range: nothing is to be changed
    f80_yl2x f80_yl2xp1              x: u128, y: u128, control: u16 (u128, status); x is ST(0)
    f80_atan                         x: u128, y: u128, control: u16 (u128, status); x is ST(0)
    withheld withheld_store          status: u16, control: u16      bool
    status_after                     before: u16, status: u16, control: u16   u16
        replaces C1, and C0 C2 C3 where the operation defines them; sets ES and B
    invalid_status                   c1: bool                       u16: IE, SF and C1
"""
