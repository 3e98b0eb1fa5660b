// machine.WDT(timeout=ms) on the MPS2-AN385, included by extmod/machine_wdt.c. It cannot be stopped. Unfed, it raises the
// NMI, which resets the board (board.c).

#include "board.h"

#define WATCHDOG_UNLOCK (0x1acce551)

struct _machine_wdt_obj_t {
    mp_obj_base_t base;
};

static machine_wdt_obj_t watchdog = { { &machine_wdt_type } };

static void watchdog_write(volatile uint32_t *place, uint32_t value) {
    BOARD_WATCHDOG_LOCK = WATCHDOG_UNLOCK;
    *place = value;
    BOARD_WATCHDOG_LOCK = 0;
}

static machine_wdt_obj_t *mp_machine_wdt_make_new_instance(mp_int_t id, mp_int_t timeout_ms) {
    if (id != 0 || timeout_ms < 1 || timeout_ms > 100000) {
        mp_raise_ValueError(MP_ERROR_TEXT("WDT(0, 1..100000 ms)"));
    }
    watchdog_write(&BOARD_WATCHDOG->load, (uint32_t)timeout_ms * BOARD_TICKS_PER_MS);
    watchdog_write(&BOARD_WATCHDOG->ctrl, 3);
    return &watchdog;
}

static void mp_machine_wdt_feed(machine_wdt_obj_t *self) {
    watchdog_write(&BOARD_WATCHDOG->clear, 1);
}
