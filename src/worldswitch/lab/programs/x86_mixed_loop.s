# The benchmark's mixed loop: a CRC by table, a copy, and calls.

        .set table, 0x200000            # 256 words
        .set buffer, 0x201000           # 256 bytes
        .set copy, 0x202000

main:   mov $table, %esi
        mov $buffer, %edi
        mov $copy, %r8d
        xor %ecx, %ecx                  # the table of the reflected polynomial EDB88320h
entry:  mov %ecx, %eax
        mov $8, %edx
bit:    shr $1, %eax
        jnc even
        xor $0xEDB88320, %eax
even:   dec %edx
        jnz bit
        mov %eax, (%rsi,%rcx,4)
        mov %cl, (%rdi,%rcx)            # and the buffer: 0 to 255
        inc %ecx
        cmp $256, %ecx
        jb entry

        mov $-1, %r11d                  # the CRC
round:  xor %ecx, %ecx                  # 256 bytes of CRC
byte:   movzbl (%rdi,%rcx), %eax
        xor %r11d, %eax
        movzbl %al, %eax
        shr $8, %r11d
        xor (%rsi,%rax,4), %r11d
        inc %ecx
        cmp $256, %ecx
        jb byte

        xor %ecx, %ecx                  # a copy of 256 bytes by quadwords
words:  mov (%rdi,%rcx,8), %rax
        rol $8, %rax
        mov %rax, (%r8,%rcx,8)
        inc %ecx
        cmp $32, %ecx
        jb words
        xor %ecx, %ecx                  # and back, 16 bytes at once
back:   movdqa (%r8,%rcx), %xmm0
        movdqa %xmm0, (%rdi,%rcx)
        add $16, %ecx
        cmp $256, %ecx
        jb back

        mov $32, %edx                   # calls
again:  mov %edx, %eax
        call leaf
        xor %eax, %r11d
        dec %edx
        jnz again
        dec %r10
        jnz round
        jmp finish

leaf:   cmp $16, %eax
        ja high
        imul $31, %eax, %eax
        ret
high:   add $7, %eax
        shl $3, %eax
        ret
