// What the rig's board has beyond MicroPython's qemu port: time, select, asyncio, UART, watchdog, random bytes.
#include "ports/qemu/mpconfigport.h"

#undef MICROPY_PY_SELECT
#undef MICROPY_PY_TIME
#undef MICROPY_PY_ASYNCIO
#undef MICROPY_PY_SYS_PLATFORM
#undef MICROPY_PY_SYS_STDIO_BUFFER

#define MICROPY_PY_SYS_PLATFORM "mps2"
#define MICROPY_PY_SYS_STDIO_BUFFER (1)
#define MICROPY_PY_SELECT (1)
#define MICROPY_PY_TIME (1)
#define MICROPY_PY_TIME_GMTIME_LOCALTIME_MKTIME (0)
#define MICROPY_PY_TIME_TIME_TIME_NS (0)
#define MICROPY_PY_ASYNCIO (1)
#define MICROPY_PY_MACHINE_UART (1)
#define MICROPY_PY_MACHINE_UART_INCLUDEFILE "machine_uart_mps2.h"
#define MICROPY_PY_MACHINE_WDT (1)
#define MICROPY_PY_MACHINE_WDT_INCLUDEFILE "machine_wdt_mps2.h"
#define MICROPY_PY_OS_URANDOM (1)
#define MICROPY_PY_OS_INCLUDEFILE "os_mps2.h"
#define MICROPY_PY_HASHLIB_SHA256 (1)
#define MICROPY_PY_BINASCII_CRC32 (1)

// machine.UART and machine.WDT come from extmod; the port's own table does not name them
#define MICROPY_PY_MACHINE_EXTRA_GLOBALS

void board_wait_ms(int timeout_ms);
#define MICROPY_INTERNAL_WFE(TIMEOUT_MS) board_wait_ms(TIMEOUT_MS)
