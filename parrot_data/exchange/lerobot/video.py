"""Videos of a LeRobot dataset: H.264 in MP4, episodes after one another, by PyAV.

What is written is lossy: a frame is what the encoder left of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parrot_data.errors import UserError
from parrot_data.exchange.lerobot.layout import FILES_PER_CHUNK, VIDEO_FILE_MB, VIDEO_PATH
from parrot_data.exchange.recording import regular_file, shown

try:
    import av
    from av.video.reformatter import Interpolation, VideoReformatter
except ModuleNotFoundError:  # it comes with the extra `video`
    av = None

CODEC = "h264"
# Every second frame stands alone, as LeRobot has it, so that any is found fast; no frame refers to
# a later one; one thread, as more give other bytes.
_OPTIONS = {"crf": "18", "g": "2", "bf": "0", "threads": "1"}


def need_av() -> None:
    """Raise UserError unless PyAV is installed."""
    if av is None:
        raise UserError(
            "Videos need PyAV: install Parrot's extra `video` "
            "(`pip install 'parrot-priors[video]'`), then give the same command again."
        )


def pixels_of(height: int, width: int) -> str:
    """Format of the pixels: what every player knows, or where a side is odd, colours undivided."""
    return "yuv444p" if height % 2 or width % 2 else "yuv420p"


class _Pixels:
    """Converts between formats of pixels, the same on every processor.

    Args:
        format_: to convert to.
    """

    def __init__(self, format_: str) -> None:
        self._format, self._reformatter = format_, VideoReformatter()
        self._how = Interpolation.BILINEAR | Interpolation.BITEXACT

    def of(self, frame: Any) -> Any:
        """The frame, converted; in one thread, as starting more costs more than all the rest."""
        return self._reformatter.reformat(
            frame, format=self._format, interpolation=self._how, threads=1
        )


class VideoWriter:
    """Writes the videos of one camera, a new file where the last has grown large.

    Args:
        root: folder of the dataset.
        key: of the feature.
        size: height and width.
        fps: frames a second.
    """

    def __init__(self, root: Path, key: str, size: tuple[int, ...], fps: float) -> None:
        self._root, self._key, self._size = root, key, size
        self._rate = Fraction(fps).limit_denominator(100_000)
        self._pixels = _Pixels(pixels_of(*size))
        self._number = -1
        self._container: Any = None
        self._stream: Any = None
        self._num_frames = self._num_bytes = 0

    def add(self, images: NDArray[np.uint8]) -> dict[str, Any]:
        """Write an episode's images, and give what `meta/episodes` says of where they are."""
        if self._container is None or self._num_bytes >= VIDEO_FILE_MB << 20:
            self._open_next()
        chunk, file = divmod(self._number, FILES_PER_CHUNK)
        start = self._num_frames
        for image in images:
            frame = self._pixels.of(av.VideoFrame.from_ndarray(image, format="rgb24"))
            frame.pts, frame.time_base = self._num_frames, 1 / self._rate
            self._mux(frame)
            self._num_frames += 1
        return {
            "chunk_index": chunk,
            "file_index": file,
            "from_timestamp": float(start / self._rate),
            "to_timestamp": float(self._num_frames / self._rate),
        }

    def close(self) -> None:
        """End the last file."""
        if self._container is not None:
            self._mux(None)
            self._container.close()

    def _open_next(self) -> None:
        self.close()
        self._number += 1
        chunk, file = divmod(self._number, FILES_PER_CHUNK)
        path = self._root / VIDEO_PATH.format(
            video_key=self._key, chunk_index=chunk, file_index=file
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        self._container = av.open(str(path), "w", format="mp4")
        self._stream = self._container.add_stream("libx264", self._rate, options=dict(_OPTIONS))
        self._stream.height, self._stream.width = self._size
        self._stream.pix_fmt = pixels_of(*self._size)
        self._num_frames = self._num_bytes = 0

    def _mux(self, frame: Any) -> None:
        for packet in self._stream.encode(frame):
            self._num_bytes += packet.size
            self._container.mux(packet)


class VideoReader:
    """Reads the videos of one camera, on from where it is.

    Args:
        fps: frames a second.

    Raises:
        UserError: PyAV is not installed.
    """

    def __init__(self, fps: float) -> None:
        need_av()
        self._fps, self._pixels = fps, _Pixels("rgb24")
        self._path: Path | None = None
        self._container: Any = None
        self._frames: Iterator[Any] = iter(())
        self._next: Any = None

    def read(self, path: Path, start_s: float, out: NDArray[np.uint8], where: str) -> None:
        """Decode as many frames as `out` has, (frames, height, width, 3).

        Args:
            path: of the file.
            start_s: time in it of the first frame.
            out: takes them.
            where: they belong, to begin errors with.

        Raises:
            UserError: the file is missing or damaged, its frames are of another size, or there is
                none at the time of one.
        """
        with _reading(path):
            if path != self._path or self._next is None or self._time() > start_s + 0.5 / self._fps:
                self._open(path)
            for step in range(len(out)):
                wanted = start_s + step / self._fps
                while self._next is not None and self._time() < wanted - 0.5 / self._fps:
                    self._next = next(self._frames, None)
                if self._next is None or self._time() > wanted + 0.5 / self._fps:
                    raise UserError(f"{where} has no frame at {wanted:g} s: download it again.")
                size = (self._next.height, self._next.width)
                if size != out.shape[1:3]:
                    raise UserError(
                        f"{where} has frames of {size}, in meta/info.json {out.shape[1:3]}: make "
                        "them agree."
                    )
                out[step] = self._pixels.of(self._next).to_ndarray()

    def close(self) -> None:
        """Close the file that is open."""
        if self._container is not None:
            self._container.close()

    def _open(self, path: Path) -> None:
        self.close()
        # No other format is tried: some of ffmpeg's open further files, by the names in them.
        self._container = av.open(str(regular_file(path)), "r", format="mp4")
        found = self._container.streams.video
        if not found or found[0].codec_context is None:
            raise UserError(f"{path} holds no video that can be decoded: download it again.")
        self._frames = self._container.decode(video=0)
        self._path, self._next = path, next(self._frames, None)

    def _time(self) -> float:
        """Of the next frame, in s."""
        if self._next.pts is None:
            raise ValueError("a frame without a time")
        return float(self._next.pts * self._next.time_base)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """What a library says of a damaged video, as one sentence."""
    try:
        yield
    except (av.FFmpegError, OSError, ValueError, IndexError, MemoryError) as error:
        reason = shown(str(error).splitlines()[0] if str(error) else type(error).__name__)
        raise UserError(
            f"{path} cannot be read as a video ({reason}): restore it, or download it again."
        ) from error
