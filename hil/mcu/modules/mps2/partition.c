// mps2.Partition(first, count): sectors of the flash as a block device (readblocks, writeblocks, ioctl).
//
// The flash is RAM at 0x21000000 that the emulator keeps in a file, so it outlives the emulator as a flash outlives a loss
// of power. It behaves as NOR flash does: erased bytes are 0xff, programming only clears bits. To set a bit without an
// erase is a fault of the caller and raises OSError(EIO). Its content can be looked at in place (VfsRom).

#include <string.h>

#include "py/mperrno.h"
#include "py/runtime.h"
#include "extmod/vfs.h"
#include "board.h"

#define SECTOR (4096u)
#define SECTORS (2048u)

typedef struct {
    mp_obj_base_t base;
    uint32_t first, count;
} partition_t;

extern const mp_obj_type_t mps2_partition_type;

static uint8_t *place(mp_obj_t self_in, mp_obj_t block_in, uint32_t offset, size_t size) {
    partition_t *self = MP_OBJ_TO_PTR(self_in);
    uint32_t block = mp_obj_get_int(block_in);
    if (block >= self->count || offset > (self->count - block) * SECTOR || size > (self->count - block) * SECTOR - offset) {
        mp_raise_OSError(MP_EINVAL);
    }
    return BOARD_FLASH + (self->first + block) * SECTOR + offset;
}

static mp_obj_t partition_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    mp_arg_check_num(n_args, n_kw, 2, 2, false);
    uint32_t first = mp_obj_get_int(args[0]), count = mp_obj_get_int(args[1]);
    if (first > SECTORS || count > SECTORS - first) {
        mp_raise_ValueError(MP_ERROR_TEXT("beyond the flash"));
    }
    partition_t *self = mp_obj_malloc(partition_t, type);
    self->first = first;
    self->count = count;
    return MP_OBJ_FROM_PTR(self);
}

static mp_obj_t partition_readblocks(size_t n_args, const mp_obj_t *args) {
    mp_buffer_info_t into;
    mp_get_buffer_raise(args[2], &into, MP_BUFFER_WRITE);
    uint32_t offset = n_args == 4 ? mp_obj_get_int(args[3]) : 0;
    memcpy(into.buf, place(args[0], args[1], offset, into.len), into.len);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(partition_readblocks_obj, 3, 4, partition_readblocks);

static mp_obj_t partition_writeblocks(size_t n_args, const mp_obj_t *args) {
    mp_buffer_info_t from;
    mp_get_buffer_raise(args[2], &from, MP_BUFFER_READ);
    uint32_t offset = n_args == 4 ? mp_obj_get_int(args[3]) : 0;
    uint8_t *cells = place(args[0], args[1], offset, from.len);
    if (n_args == 3) {
        memset(cells, 0xff, from.len);
    }
    const uint8_t *bytes = from.buf;
    for (size_t i = 0; i < from.len; ++i) {
        if ((cells[i] & bytes[i]) != bytes[i]) {
            mp_raise_OSError(MP_EIO);
        }
        cells[i] = bytes[i];
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(partition_writeblocks_obj, 3, 4, partition_writeblocks);

static mp_obj_t partition_ioctl(mp_obj_t self_in, mp_obj_t operation, mp_obj_t argument) {
    partition_t *self = MP_OBJ_TO_PTR(self_in);
    switch (mp_obj_get_int(operation)) {
        case MP_BLOCKDEV_IOCTL_BLOCK_COUNT:
            return MP_OBJ_NEW_SMALL_INT(self->count);
        case MP_BLOCKDEV_IOCTL_BLOCK_SIZE:
            return MP_OBJ_NEW_SMALL_INT(SECTOR);
        case MP_BLOCKDEV_IOCTL_BLOCK_ERASE:
            memset(place(self_in, argument, 0, SECTOR), 0xff, SECTOR);
            return MP_OBJ_NEW_SMALL_INT(0);
        default:
            return MP_OBJ_NEW_SMALL_INT(0);
    }
}
static MP_DEFINE_CONST_FUN_OBJ_3(partition_ioctl_obj, partition_ioctl);

static mp_int_t partition_get_buffer(mp_obj_t self_in, mp_buffer_info_t *info, mp_uint_t flags) {
    if (flags & MP_BUFFER_WRITE) {
        return 1;
    }
    partition_t *self = MP_OBJ_TO_PTR(self_in);
    info->buf = BOARD_FLASH + self->first * SECTOR;
    info->len = self->count * SECTOR;
    info->typecode = 'B';
    return 0;
}

static const mp_rom_map_elem_t partition_locals_table[] = {
    { MP_ROM_QSTR(MP_QSTR_readblocks), MP_ROM_PTR(&partition_readblocks_obj) },
    { MP_ROM_QSTR(MP_QSTR_writeblocks), MP_ROM_PTR(&partition_writeblocks_obj) },
    { MP_ROM_QSTR(MP_QSTR_ioctl), MP_ROM_PTR(&partition_ioctl_obj) },
};
static MP_DEFINE_CONST_DICT(partition_locals, partition_locals_table);

MP_DEFINE_CONST_OBJ_TYPE(
    mps2_partition_type, MP_QSTR_Partition, MP_TYPE_FLAG_NONE,
    make_new, partition_make_new,
    buffer, partition_get_buffer,
    locals_dict, &partition_locals
    );
