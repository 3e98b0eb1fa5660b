// The module mps2: what only this board has. Partition; start() and count() of instructions; spin(n) of known length;
// watch(on) and lowest() of the heap; resets() by the watchdog since the power came,
// by_watchdog(): whether it began this start; reset() as a program asks for one.

#include "py/gc.h"
#include "py/runtime.h"
#include "board.h"

extern const mp_obj_type_t mps2_partition_type;

static uint32_t count_began;
static bool heap_watched;
static size_t heap_lowest;

// From here on instructions are counted.
static mp_obj_t mps2_start(void) {
    count_waited = 0;
    count_began = count_now();
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_0(mps2_start_obj, mps2_start);

// Instructions since start(), without those spent waiting; at most 2^30.
static mp_obj_t mps2_count(void) {
    uint32_t now = count_now();
    return mp_obj_new_int_from_uint(now - count_began - count_waited);
}
static MP_DEFINE_CONST_FUN_OBJ_0(mps2_count_obj, mps2_count);

// Nanoseconds of waiting since start(), modulo 2^32.
static mp_obj_t mps2_waited(void) {
    return mp_obj_new_int_from_uint(count_waited);
}
static MP_DEFINE_CONST_FUN_OBJ_0(mps2_waited_obj, mps2_waited);

// Two instructions for each of n: what the counter is checked with.
static mp_obj_t mps2_spin(mp_obj_t n_in) {
    uint32_t n = mp_obj_get_int(n_in);
    __asm volatile ("1: subs %0, %0, #1\n bne 1b\n" : "+r" (n) : : "cc");
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(mps2_spin_obj, mps2_spin);

// Watching costs a walk through the heap at each collection: never while instructions are counted.
static mp_obj_t mps2_watch(mp_obj_t on) {
    heap_watched = mp_obj_is_true(on);
    heap_lowest = SIZE_MAX;
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(mps2_watch_obj, mps2_watch);

// The least that was free after a collection since watch().
static mp_obj_t mps2_lowest(void) {
    return mp_obj_new_int_from_uint(heap_lowest);
}
static MP_DEFINE_CONST_FUN_OBJ_0(mps2_lowest_obj, mps2_lowest);

void __real_gc_collect_end(void);
void __wrap_gc_collect_end(void);
void __wrap_gc_collect_end(void) {
    __real_gc_collect_end();
    if (heap_watched) {
        gc_info_t info;
        gc_info(&info);
        heap_lowest = info.free < heap_lowest ? info.free : heap_lowest;
    }
}

static mp_obj_t mps2_resets(void) {
    return mp_obj_new_int_from_uint(BOARD_RESETS);
}
static MP_DEFINE_CONST_FUN_OBJ_0(mps2_resets_obj, mps2_resets);

static mp_obj_t mps2_by_watchdog(void) {
    return mp_obj_new_bool(board_by_watchdog());
}
static MP_DEFINE_CONST_FUN_OBJ_0(mps2_by_watchdog_obj, mps2_by_watchdog);

static mp_obj_t mps2_reset(void) {
    board_reset();
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_0(mps2_reset_obj, mps2_reset);

static const mp_rom_map_elem_t mps2_globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_mps2) },
    { MP_ROM_QSTR(MP_QSTR_Partition), MP_ROM_PTR(&mps2_partition_type) },
    { MP_ROM_QSTR(MP_QSTR_start), MP_ROM_PTR(&mps2_start_obj) },
    { MP_ROM_QSTR(MP_QSTR_count), MP_ROM_PTR(&mps2_count_obj) },
    { MP_ROM_QSTR(MP_QSTR_waited), MP_ROM_PTR(&mps2_waited_obj) },
    { MP_ROM_QSTR(MP_QSTR_spin), MP_ROM_PTR(&mps2_spin_obj) },
    { MP_ROM_QSTR(MP_QSTR_watch), MP_ROM_PTR(&mps2_watch_obj) },
    { MP_ROM_QSTR(MP_QSTR_lowest), MP_ROM_PTR(&mps2_lowest_obj) },
    { MP_ROM_QSTR(MP_QSTR_by_watchdog), MP_ROM_PTR(&mps2_by_watchdog_obj) },
    { MP_ROM_QSTR(MP_QSTR_reset), MP_ROM_PTR(&mps2_reset_obj) },
    { MP_ROM_QSTR(MP_QSTR_resets), MP_ROM_PTR(&mps2_resets_obj) },
};
static MP_DEFINE_CONST_DICT(mps2_globals, mps2_globals_table);

const mp_obj_module_t mps2_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&mps2_globals,
};
MP_REGISTER_MODULE(MP_QSTR_mps2, mps2_module);
