"""The example day, played with every part running: `./run demo`."""
