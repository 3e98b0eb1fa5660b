// machine.UART(1) on the MPS2-AN385, included by extmod/machine_uart.c. The line has no speed in the emulator; baudrate
// and framing are taken and kept for print. Reading never blocks: asyncio waits.

#include "py/mperrno.h"
#include "py/runtime.h"
#include "board.h"

#define MICROPY_PY_MACHINE_UART_CLASS_CONSTANTS

struct _machine_uart_obj_t {
    mp_obj_base_t base;
    uint32_t baudrate;
};

static machine_uart_obj_t uart_of_meter = { { &machine_uart_type }, 9600 };

static void mp_machine_uart_print(const mp_print_t *print, mp_obj_t self_in, mp_print_kind_t kind) {
    machine_uart_obj_t *self = MP_OBJ_TO_PTR(self_in);
    mp_printf(print, "UART(1, baudrate=%u)", (unsigned)self->baudrate);
}

static void mp_machine_uart_init_helper(machine_uart_obj_t *self, size_t n_args, const mp_obj_t *args, mp_map_t *kw_args) {
    static const mp_arg_t allowed[] = {
        { MP_QSTR_baudrate, MP_ARG_INT, {.u_int = 9600} },
        { MP_QSTR_bits, MP_ARG_INT, {.u_int = 8} },
        { MP_QSTR_parity, MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE} },
        { MP_QSTR_stop, MP_ARG_INT, {.u_int = 1} },
        { MP_QSTR_timeout, MP_ARG_INT, {.u_int = 0} },
    };
    mp_arg_val_t values[MP_ARRAY_SIZE(allowed)];
    mp_arg_parse_all(n_args, args, kw_args, MP_ARRAY_SIZE(allowed), allowed, values);
    self->baudrate = values[0].u_int;
}

static mp_obj_t mp_machine_uart_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    mp_arg_check_num(n_args, n_kw, 1, MP_OBJ_FUN_ARGS_MAX, true);
    if (mp_obj_get_int(args[0]) != 1) {
        mp_raise_ValueError(MP_ERROR_TEXT("the board has UART(1) only"));
    }
    mp_map_t named;
    mp_map_init_fixed_table(&named, n_kw, args + n_args);
    mp_machine_uart_init_helper(&uart_of_meter, n_args - 1, args + 1, &named);
    return MP_OBJ_FROM_PTR(&uart_of_meter);
}

static void mp_machine_uart_deinit(machine_uart_obj_t *self) {
}

static mp_int_t mp_machine_uart_any(machine_uart_obj_t *self) {
    return board_meter_any();
}

static bool mp_machine_uart_txdone(machine_uart_obj_t *self) {
    return true;
}

static mp_uint_t mp_machine_uart_read(mp_obj_t self_in, void *buffer, mp_uint_t size, int *error) {
    size_t count = board_meter_read(buffer, size);
    if (count == 0) {
        *error = MP_EAGAIN;
        return MP_STREAM_ERROR;
    }
    return count;
}

static mp_uint_t mp_machine_uart_write(mp_obj_t self_in, const void *buffer, mp_uint_t size, int *error) {
    for (size_t i = 0; i < size; ++i) {
        BOARD_METER->data = ((const uint8_t *)buffer)[i];
    }
    return size;
}

static mp_uint_t mp_machine_uart_ioctl(mp_obj_t self_in, mp_uint_t request, uintptr_t argument, int *error) {
    if (request == MP_STREAM_POLL) {
        uintptr_t ready = argument & MP_STREAM_POLL_WR;
        if ((argument & MP_STREAM_POLL_RD) && board_meter_any()) {
            ready |= MP_STREAM_POLL_RD;
        }
        return ready;
    }
    if (request == MP_STREAM_FLUSH || request == MP_STREAM_CLOSE) {
        return 0;
    }
    *error = MP_EINVAL;
    return MP_STREAM_ERROR;
}
