// The rig's board: registers of the MPS2-AN385 (Arm DAI 0385, CMSDK TRM DDI 0479) and what its parts offer each other.
#ifndef LIGHTNODE_BOARD_H
#define LIGHTNODE_BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    volatile uint32_t ctrl, value, reload, status;
} board_timer_t;

typedef struct {
    volatile uint32_t data, state, ctrl, status, divider;
} board_uart_t;

typedef struct {
    volatile uint32_t load, value, ctrl, clear;
} board_watchdog_t;

#define BOARD_CLOCK ((board_timer_t *)0x40000000)     // free running, 25 MHz
#define BOARD_ALARM ((board_timer_t *)0x40001000)     // wakes from sleep
#define BOARD_CONSOLE ((board_uart_t *)0x40004000)    // the REPL
#define BOARD_METER ((board_uart_t *)0x40005000)      // machine.UART(1)
#define BOARD_WATCHDOG ((board_watchdog_t *)0x40008000)
#define BOARD_WATCHDOG_LOCK (*(volatile uint32_t *)0x40008C00)
#define BOARD_FLASH ((uint8_t *)0x21000000)           // 16 MB of RAM that plays the flash, see partition.c
#define BOARD_RESETS (*(volatile uint32_t *)0x203ffff0) // RAM that no reset clears

#define BOARD_UNFED (*(volatile uint32_t *)0x203fffec)   // so does this: the watchdog is what resets

#define BOARD_TICKS_PER_MS (25000)

// Time since the start in ticks of 40 ns of virtual time.
uint64_t board_ticks(void);

// Bytes that the meter's line has brought; the first call after a silence waits, asleep, until the line is silent again.
size_t board_meter_any(void);
size_t board_meter_read(uint8_t *to, size_t size);

// A number from the emulator's command line, e.g. heap=131072; otherwise the default.
uint32_t board_option(const char *name, uint32_t otherwise);

// Whether the watchdog began this start, and a reset as the program asks for one.
bool board_by_watchdog(void);
void board_reset(void);

void board_random(uint8_t *to, size_t size);

// Instructions so far, modulo 2^32, and how many of them (and of nanoseconds asleep) were waiting.
uint32_t count_now(void);
extern uint32_t count_waited;

#endif
