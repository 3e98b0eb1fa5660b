# The rig's board on top of MicroPython's qemu port: mps2-an385 with what a light node needs. Built by hil/mcu/image.py.
QEMU_ARCH = arm
QEMU_MACHINE = mps2-an385

CFLAGS += -mthumb -mcpu=cortex-m3 -mfloat-abi=soft -DQEMU_SOC_MPS2
CFLAGS += -DMICROPY_HW_MCU_NAME='"Cortex-M3"'
CFLAGS += -I$(BOARD_DIR) -I$(USER_C_MODULES)/mps2 -DMP_CONFIGFILE='"mpconfig_lightnode.h"'

LDSCRIPT = $(BOARD_DIR)/mps2.ld
# gc_init: heap size chosen at start; mp_init: _boot.py after it; gc_collect_end: low-water of the heap;
# NMI_Handler: the watchdog resets; uart_rx_chr: the console waits asleep; mp_hal_stdio_poll: asyncio waits for it
LDFLAGS += -Wl,--wrap=gc_init,--wrap=mp_init,--wrap=gc_collect_end,--wrap=NMI_Handler,--wrap=uart_rx_chr,--wrap=mp_hal_stdio_poll

SRC_BOARD_O = shared/runtime/gchelper_native.o shared/runtime/gchelper_thumb2.o
MPY_CROSS_FLAGS += -march=armv7m

MICROPY_VFS_LFS2 = 1
MICROPY_HEAP_SIZE = 262144

# As MicroPython's rp2 port builds these three (esp32 builds everything so): the counts are those of boards that are sold.
$(BUILD)/py/map.o $(BUILD)/py/mpz.o $(BUILD)/py/vm.o: COPT := -O2 -DNDEBUG
