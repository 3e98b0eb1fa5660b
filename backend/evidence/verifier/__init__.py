"""Checks a bundle of evidence without trusting anything but the chain.

Independent: written from FORMAT.md and the RFCs on cbor2 and cryptography; it imports neither the codec nor the store.
"""
