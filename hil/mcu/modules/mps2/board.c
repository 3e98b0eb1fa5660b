// Time, sleep, the meter's line, options and the hooks into MicroPython's start.
//
// Interrupts are never taken: they only end WFI. What is spent here asleep or waiting for the line is added to
// count_waited, so that a count of instructions says what the program did and not how fast the other side was.

#include <string.h>

#include "py/gc.h"
#include "py/mphal.h"
#include "py/runtime.h"
#include "py/stream.h"
#include "shared/runtime/pyexec.h"
#include "board.h"

#define IRQ_CONSOLE (1u << 0)
#define IRQ_METER (1u << 2)
#define IRQ_ALARM (1u << 9)
#define IRQ_ALL (IRQ_CONSOLE | IRQ_METER | IRQ_ALARM)
#define NVIC_ENABLE (*(volatile uint32_t *)0xe000e100)
#define NVIC_CLEAR (*(volatile uint32_t *)0xe000e280)
#define SCB_RESET (*(volatile uint32_t *)0xe000ed0c)

#define UART_FULL (1u << 1)
#define UART_ON_WITH_IRQ (1u | 1u << 1 | 1u << 3)
#define TIMER_ON (1u)
#define TIMER_IRQ (1u << 3)

#define CONSOLE_PATIENCE (2000) // looks at the console before it sleeps: a script that is sent comes without pauses

#define LINE_SILENCE_TICKS (4 * BOARD_TICKS_PER_MS) // 3.5 characters at 9600 baud: the end of a Modbus frame

static uint64_t ticks_total;
static uint32_t ticks_last;

static uint8_t line[512];
static size_t line_from, line_to;

uint64_t board_ticks(void) {
    uint32_t now = ~BOARD_CLOCK->value;
    ticks_total += (uint32_t)(now - ticks_last);
    ticks_last = now;
    return ticks_total;
}

static bool line_drain(void) {
    bool some = false;
    while (BOARD_METER->state & UART_FULL) {
        uint8_t byte = BOARD_METER->data;
        if (line_to < sizeof(line)) {
            line[line_to++] = byte;
        }
        some = true;
    }
    return some;
}

// Asleep until an interrupt or for the number of ticks.
static void doze(uint64_t ticks) {
    BOARD_CONSOLE->status = 0xf;
    BOARD_METER->status = 0xf;
    NVIC_CLEAR = IRQ_ALL;
    uint32_t alarm = ticks > 0x40000000 ? 0x40000000 : (uint32_t)ticks;
    BOARD_ALARM->value = alarm ? alarm : 1;
    BOARD_ALARM->reload = alarm ? alarm : 1;
    BOARD_ALARM->ctrl = TIMER_ON | TIMER_IRQ;
    if (!(BOARD_METER->state & UART_FULL)) {
        __asm volatile ("wfi");
    }
    BOARD_ALARM->ctrl = 0;
    BOARD_ALARM->status = 1;
    board_ticks();
}

// Until the deadline, or until a frame or something from the console has come if that counts; true for a frame.
static bool wait_until(uint64_t deadline, bool frames) {
    uint32_t began = count_now();
    bool came = false;
    for (;;) {
        uint64_t now = board_ticks();
        if (line_drain()) {
            uint64_t silent = now + LINE_SILENCE_TICKS;
            while ((now = board_ticks()) < silent) {
                doze(silent - now);
                if (line_drain()) {
                    silent = board_ticks() + LINE_SILENCE_TICKS;
                }
            }
            came = true;
        }
        if (now >= deadline || (frames && (came || (BOARD_CONSOLE->state & UART_FULL)))) {
            break;
        }
        doze(deadline - now);
    }
    count_waited += count_now() - began;
    return came;
}

void board_wait_ms(int timeout_ms) {
    uint64_t ms = board_ticks() / BOARD_TICKS_PER_MS + (timeout_ms < 0 ? 60000 : timeout_ms);
    wait_until(ms * BOARD_TICKS_PER_MS, true);
}

size_t board_meter_any(void) {
    if (line_from == line_to && (BOARD_METER->state & UART_FULL)) {
        wait_until(board_ticks(), true);
    }
    return line_to - line_from;
}

size_t board_meter_read(uint8_t *to, size_t size) {
    size_t there = board_meter_any();
    size_t count = there < size ? there : size;
    memcpy(to, line + line_from, count);
    line_from += count;
    if (line_from == line_to) {
        line_from = line_to = 0;
    }
    return count;
}

mp_uint_t mp_hal_ticks_ms(void) {
    return board_ticks() / BOARD_TICKS_PER_MS;
}

mp_uint_t mp_hal_ticks_us(void) {
    return board_ticks() / 25;
}

mp_uint_t mp_hal_ticks_cpu(void) {
    return (mp_uint_t)board_ticks();
}

void mp_hal_delay_us(mp_uint_t us) {
    wait_until(board_ticks() + (uint64_t)us * 25, false);
}

void mp_hal_delay_ms(mp_uint_t ms) {
    wait_until(board_ticks() + (uint64_t)ms * BOARD_TICKS_PER_MS, false);
}

uint64_t mp_hal_time_ns(void) {
    return board_ticks() * 40;
}

// The emulator's command line, by semihosting (Arm semihosting specification, SYS_GET_CMDLINE).
static const char *command_line(void) {
    static char text[256];
    struct {
        char *text;
        uint32_t size;
    } block = { text, sizeof(text) - 1 };
    register uint32_t number __asm__ ("r0") = 0x15;
    register void *argument __asm__ ("r1") = &block;
    __asm volatile ("bkpt 0xab" : "+r" (number) : "r" (argument) : "memory");
    return number == 0 ? text : "";
}

uint32_t board_option(const char *name, uint32_t otherwise) {
    const char *at = strstr(command_line(), name);
    if (at == NULL || at[strlen(name)] != '=') {
        return otherwise;
    }
    uint32_t value = 0;
    for (at += strlen(name) + 1; *at >= '0' && *at <= '9'; ++at) {
        value = value * 10 + (*at - '0');
    }
    return value;
}

// Random bytes of a generator with a seed (splitmix64, S. Vigna, public domain algorithm): a run can be repeated. Keys
// that are made here are for the rig.
void board_random(uint8_t *to, size_t size) {
    static uint64_t state;
    if (state == 0) {
        state = board_option("seed", 1) * 0x9e3779b97f4a7c15ull + 1;
    }
    for (size_t i = 0; i < size; ++i) {
        state += 0x9e3779b97f4a7c15ull;
        uint64_t z = state;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
        to[i] = (uint8_t)((z ^ (z >> 31)) >> 56);
    }
}

// Hooks (see mpconfigboard.mk).

void __real_gc_init(void *start, void *end);
void __wrap_gc_init(void *start, void *end);
void __wrap_gc_init(void *start, void *end) {
    uint32_t most = (uint32_t)((uint8_t *)end - (uint8_t *)start);
    uint32_t heap = board_option("heap", most);
    __real_gc_init(start, (uint8_t *)start + (heap < most ? heap : most));
}

static bool by_watchdog;

void __real_mp_init(void);
void __wrap_mp_init(void);
void __wrap_mp_init(void) {
    __asm volatile ("cpsid i");
    by_watchdog = BOARD_UNFED == 1;
    BOARD_UNFED = 0;
    BOARD_CLOCK->value = 0xffffffff;
    BOARD_CLOCK->reload = 0xffffffff;
    BOARD_CLOCK->ctrl = TIMER_ON;
    ticks_last = ~BOARD_CLOCK->value;
    BOARD_CONSOLE->ctrl = UART_ON_WITH_IRQ;
    BOARD_METER->divider = 16;
    BOARD_METER->ctrl = UART_ON_WITH_IRQ;
    NVIC_ENABLE = IRQ_ALL;
    __real_mp_init();
    pyexec_frozen_module("_boot.py", false);
}

void __wrap_NMI_Handler(void);
void __wrap_NMI_Handler(void) { // the watchdog was not fed
    BOARD_RESETS += 1;
    BOARD_UNFED = 1;
    board_reset();
}

void board_reset(void) {
    SCB_RESET = 0x05fa0004;
    for (;;) {
    }
}

bool board_by_watchdog(void) {
    return by_watchdog;
}

int __real_uart_rx_chr(void);
int __wrap_uart_rx_chr(void);
int __wrap_uart_rx_chr(void) {
    for (int patience = CONSOLE_PATIENCE; !(BOARD_CONSOLE->state & UART_FULL); --patience) {
        if (patience == 0) {
            doze(1000 * BOARD_TICKS_PER_MS);
            patience = CONSOLE_PATIENCE;
        }
    }
    return __real_uart_rx_chr();
}

uintptr_t __wrap_mp_hal_stdio_poll(uintptr_t flags);
uintptr_t __wrap_mp_hal_stdio_poll(uintptr_t flags) {
    uintptr_t ready = flags & MP_STREAM_POLL_WR;
    if ((flags & MP_STREAM_POLL_RD) && (BOARD_CONSOLE->state & UART_FULL)) {
        ready |= MP_STREAM_POLL_RD;
    }
    return ready;
}
