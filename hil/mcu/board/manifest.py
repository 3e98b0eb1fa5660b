# What is frozen into the chip's image: asyncio, the project's firmware, and the start of the board.
include("$(MPY_DIR)/extmod/asyncio")
package("lightboot", base_path="$(FIRMWARE)", opt=2)
package("lightwire", base_path="$(FIRMWARE)", opt=2)
package("lightnode", base_path="$(FIRMWARE)", opt=2)
module("_boot.py", base_path="$(BOARD_DIR)", opt=2)
