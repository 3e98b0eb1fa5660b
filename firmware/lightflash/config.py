"""A device's settings, checked here by the rules that the device has, so that what is written is taken there.

1. The device's own module decides: what it takes is taken, what it refuses is refused in its words.
2. A secret in it is refused like every key that the device does not know: by its name, its value is not shown.
"""

from pathlib import Path

from lightnode import settings
from lightnode.errors import SettingsError

from lightflash.errors import FlashError

_CURE = "correct the file, firmware/device/config.example.json has every key"


def checked(path: Path) -> settings.Settings:
    """The settings in a file; FlashError in one line with the file, the key, its value and what belongs there."""
    try:
        return settings.load(str(path))
    except SettingsError as error:
        raise FlashError("config", str(error), _CURE) from error
