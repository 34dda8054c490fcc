from kowai.chunking import chunk
from kowai.loaders.subtitles import load

VTT = """WEBVTT

NOTE made by hand

1
00:05.000 --> 00:07.500 align:start
<v Ann>Where is <i>my</i> parcel?</v>

01:00:09.000 --> 01:00:10.000
<v Ann>I &amp; you wait.

01:00:11.000 --> 01:00:12.000
<v.loud Bob>On its way.
"""
SRT = (
    "1\r\n00:00:01,000 --> 00:00:02,000\r\n{\\an8}Hello\r\nthere.\r\n\r\n2\r\n00:01:05,000 --> 00:01:06,000\r\nBye.\r\n"
)


def test_what_is_said_is_read_with_its_speakers() -> None:
    assert load(VTT.encode(), "a.vtt").text == "Ann: Where is my parcel?\nI & you wait.\nBob: On its way."
    assert load(SRT.encode(), "a.srt").text == "Hello\nthere.\nBye."


def test_a_chunk_knows_the_time_it_begins_at() -> None:
    assert [piece.heading_path for piece in chunk(load(VTT.encode(), "a.vtt"), 25, 0)] == [
        "00:00:05",
        "01:00:09",
        "01:00:11",
    ]
    assert chunk(load(SRT.encode(), "a.srt"))[0].heading_path == "00:00:01"


def test_rolling_captions_are_read_once() -> None:
    rolling = (
        "00:01.000 --> 00:02.000\nhello\n\n00:02.000 --> 00:03.000\nhello\nworld\n\n00:03.000 --> 00:04.000\nworld\n"
    )
    assert load(f"WEBVTT\n\n{rolling}".encode(), "a.vtt").text == "hello\nworld"
