// Counts instructions, exactly.
//
// The emulator runs with -icount shift=0: one instruction takes one nanosecond of virtual time. The clock counts 40 ns
// steps, so one look at it says only forty instructions. Forty looks, seven instructions apart, say one: seven and forty
// have no common divisor, so the forty looks fall on the forty different phases of a step, once each, and the sum of what
// they saw is, but for a constant, the nanosecond of the first (Hermite's identity).

#include "board.h"

uint32_t count_waited;

__attribute__((noinline)) uint32_t count_now(void) {
    uint32_t sum = 0, looks = 40, seen;
    __asm volatile (
        "1: ldr %2, [%3, #4]\n"
        "   sub %0, %0, %2\n"
        "   subs %1, %1, #1\n"
        "   nop\n"
        "   nop\n"
        "   nop\n"
        "   bne 1b\n"
        : "+r" (sum), "+r" (looks), "=&r" (seen)
        : "r" (BOARD_CLOCK)
        : "cc", "memory");
    return sum;
}
