"""Topics: round trip, partition, hostile names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lightwire import topics
from lightwire.errors import OutOfRange


@given(st.binary(min_size=8, max_size=8), st.sampled_from(topics.UPLINK + topics.DOWNLINK))
def test_a_topic_leads_back_to_its_device_and_channel(device: bytes, channel: str) -> None:
    name = topics.topic(device, channel)
    assert topics.parse(name) == (device, channel)
    assert name.split("/")[2] == str(device[0] & 63)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "ln/1/1/3132333435363738/record",  # wrong partition
        "ln/1/49/3132333435363738/secret",
        "ln/2/49/3132333435363738/record",
        "ln/1/49/31323334353637 8/record",
        "ln/1/049/3132333435363738/record",
        "ln/1/49/3132333435363738/record/x",
        "ln/1/49/ABCDEF0102030405/record",
    ],
)
def test_any_other_name_is_refused(name: str) -> None:
    with pytest.raises(OutOfRange):
        topics.parse(name)
