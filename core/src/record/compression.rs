//! The codecs of record batches, with a hard bound on what comes out.
//!
//! Invariant: [`decompress`] never holds more than about twice `bound` (a growing vector), plus a codec's own window:
//! 8 MiB or the bound, whichever is larger, for zstd; the 4 MiB block of an LZ4 frame.

use std::borrow::Cow;
use std::io::{self, Read, Write};

use super::batch::{BatchView, Codec};

/// Why compressed bytes were refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecompressError {
    /// More would come out than is allowed.
    #[error("more than {bound} bytes after decompression")]
    TooLarge {
        /// The bound.
        bound: usize,
    },
    /// Not what the codec writes.
    #[error("damaged {0:?} data")]
    Damaged(Codec),
}

/// Why a batch cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// No codec has this number.
    #[error("codec {0} is not known")]
    UnknownCodec(u8),
    /// Its payload was refused.
    #[error(transparent)]
    Payload(#[from] DecompressError),
}

const XERIAL_MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
/// Magic, version, lowest compatible version.
const XERIAL_HEADER: [u8; 16] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1];
const XERIAL_BLOCK: usize = 32 * 1024;

/// Appends `bytes` to `into`, compressed. `level`: of gzip (0..=9, default 6) and zstd (default 3).
pub fn compress(codec: Codec, level: Option<i32>, bytes: &[u8], into: &mut Vec<u8>) -> io::Result<()> {
    match codec {
        Codec::None => into.extend_from_slice(bytes),
        Codec::Gzip => {
            let level = flate2::Compression::new(level.map_or(6, |level| level.clamp(0, 9) as u32));
            let mut encoder = flate2::write::GzEncoder::new(into, level);
            encoder.write_all(bytes)?;
            encoder.finish()?;
        }
        Codec::Snappy => compress_xerial(bytes, into)?,
        Codec::Lz4 => {
            let info = lz4_flex::frame::FrameInfo::new()
                .block_size(lz4_flex::frame::BlockSize::Max64KB)
                .block_mode(lz4_flex::frame::BlockMode::Independent);
            let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, into);
            encoder.write_all(bytes)?;
            encoder.finish().map_err(io::Error::other)?;
        }
        Codec::Zstd => {
            let start = into.len();
            into.resize(start + zstd::zstd_safe::compress_bound(bytes.len()), 0);
            let written = zstd::bulk::compress_to_buffer(bytes, &mut into[start..], level.unwrap_or(3))?;
            into.truncate(start + written);
        }
    }
    Ok(())
}

fn compress_xerial(bytes: &[u8], into: &mut Vec<u8>) -> io::Result<()> {
    let mut encoder = snap::raw::Encoder::new();
    into.extend_from_slice(&XERIAL_HEADER);
    for block in bytes.chunks(XERIAL_BLOCK) {
        let start = into.len();
        into.resize(start + 4 + snap::raw::max_compress_len(block.len()), 0);
        let written = encoder.compress(block, &mut into[start + 4..])?;
        into[start..start + 4].copy_from_slice(&(written as u32).to_be_bytes());
        into.truncate(start + 4 + written);
    }
    Ok(())
}

/// What `bytes` were before compression, if that is at most `bound` bytes.
pub fn decompress(codec: Codec, bytes: &[u8], bound: usize) -> Result<Vec<u8>, DecompressError> {
    match codec {
        Codec::None if bytes.len() > bound => Err(DecompressError::TooLarge { bound }),
        Codec::None => Ok(bytes.to_vec()),
        Codec::Gzip => read_bounded(codec, flate2::bufread::MultiGzDecoder::new(bytes), bound),
        Codec::Snappy => decompress_snappy(bytes, bound),
        Codec::Lz4 => read_bounded(codec, lz4_flex::frame::FrameDecoder::new(bytes), bound),
        Codec::Zstd => {
            let damaged = |_| DecompressError::Damaged(codec);
            let mut decoder = zstd::stream::read::Decoder::with_buffer(bytes).map_err(damaged)?;
            decoder.window_log_max(zstd_window_log_max(bound)).map_err(damaged)?;
            read_bounded(codec, decoder, bound)
        }
    }
}

/// The uncompressed payload of `batch`: its own bytes where it is not compressed, else at most `bound` bytes.
pub fn open<'a>(batch: &BatchView<'a>, bound: usize) -> Result<Cow<'a, [u8]>, OpenError> {
    Ok(match batch.codec().map_err(OpenError::UnknownCodec)? {
        Codec::None => Cow::Borrowed(batch.payload()),
        codec => Cow::Owned(decompress(codec, batch.payload(), bound)?),
    })
}

/// 8 MiB is what every zstd decoder has to support, 128 MiB what it does unless told otherwise.
fn zstd_window_log_max(bound: usize) -> u32 {
    bound.checked_next_power_of_two().map_or(27, usize::trailing_zeros).clamp(23, 27)
}

fn read_bounded(codec: Codec, reader: impl Read, bound: usize) -> Result<Vec<u8>, DecompressError> {
    let mut out = Vec::new();
    reader.take(bound as u64 + 1).read_to_end(&mut out).map_err(|_| DecompressError::Damaged(codec))?;
    if out.len() > bound { Err(DecompressError::TooLarge { bound }) } else { Ok(out) }
}

/// Java writes xerial's frames, librdkafka one raw block.
fn decompress_snappy(mut bytes: &[u8], bound: usize) -> Result<Vec<u8>, DecompressError> {
    const DAMAGED: DecompressError = DecompressError::Damaged(Codec::Snappy);
    let mut out = Vec::new();
    if !bytes.starts_with(&XERIAL_MAGIC) {
        decompress_snappy_block(bytes, bound, &mut out)?;
        return Ok(out);
    }
    while !bytes.is_empty() {
        if bytes.starts_with(&XERIAL_MAGIC) {
            bytes = bytes.get(XERIAL_HEADER.len()..).ok_or(DAMAGED)?;
            continue;
        }
        let (length, rest) = bytes.split_first_chunk().ok_or(DAMAGED)?;
        let length = u32::from_be_bytes(*length) as usize;
        let (block, rest) = rest.split_at_checked(length).ok_or(DAMAGED)?;
        decompress_snappy_block(block, bound, &mut out)?;
        bytes = rest;
    }
    Ok(out)
}

fn decompress_snappy_block(block: &[u8], bound: usize, out: &mut Vec<u8>) -> Result<(), DecompressError> {
    const DAMAGED: DecompressError = DecompressError::Damaged(Codec::Snappy);
    let claimed = snap::raw::decompress_len(block).map_err(|_| DAMAGED)?;
    if claimed > bound - out.len() {
        return Err(DecompressError::TooLarge { bound });
    }
    // Three bytes of input make 64 of output at most, so a larger claim is a lie and nothing is allocated for it.
    if claimed > block.len().saturating_mul(22) {
        return Err(DAMAGED);
    }
    let start = out.len();
    out.resize(start + claimed, 0);
    let written = snap::raw::Decoder::new().decompress(block, &mut out[start..]).map_err(|_| DAMAGED)?;
    out.truncate(start + written);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(len: usize) -> Vec<u8> {
        (0..len).map(|i| if i % 7 < 4 { b'a' } else { (i * 31 % 251) as u8 }).collect()
    }

    fn compressed(codec: Codec, bytes: &[u8]) -> Vec<u8> {
        let mut out = vec![0xee];
        compress(codec, None, bytes, &mut out).unwrap();
        assert_eq!(out.remove(0), 0xee, "what was there stays");
        out
    }

    #[test]
    fn every_codec_goes_round_and_keeps_the_bound() {
        for codec in Codec::ALL {
            for len in [0, 1, 100, 32_768, 32_769, 70_000, 300_000] {
                let bytes = sample(len);
                let small = compressed(codec, &bytes);
                assert_eq!(decompress(codec, &small, len).as_ref(), Ok(&bytes), "{codec:?} {len}");
                if len > 0 {
                    assert_eq!(decompress(codec, &small, len - 1), Err(DecompressError::TooLarge { bound: len - 1 }));
                }
            }
        }
    }

    #[test]
    fn raw_snappy_and_joined_xerial_streams_are_read() {
        let bytes = sample(50_000);
        let raw = snap::raw::Encoder::new().compress_vec(&bytes).unwrap();
        assert_eq!(decompress(Codec::Snappy, &raw, 50_000).as_ref(), Ok(&bytes));
        let twice = [compressed(Codec::Snappy, &bytes), compressed(Codec::Snappy, &bytes)].concat();
        assert_eq!(decompress(Codec::Snappy, &twice, 100_000).unwrap(), bytes.repeat(2));
    }

    #[test]
    fn bombs_stop_at_the_bound() {
        let zeros = vec![0; 8 << 20];
        for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
            let bomb = compressed(codec, &zeros);
            assert!(bomb.len() < zeros.len() / 20);
            assert_eq!(decompress(codec, &bomb, 100_000), Err(DecompressError::TooLarge { bound: 100_000 }));
        }
        // A raw block of six bytes that says it holds 4 GiB.
        let lie = [0xff, 0xff, 0xff, 0xff, 0x0f, 0];
        assert!(decompress(Codec::Snappy, &lie, usize::MAX).is_err());
        assert!(decompress(Codec::Snappy, &lie, 1000).is_err());
    }

    #[test]
    fn damage_is_an_error_or_other_bytes_but_never_a_panic() {
        let bytes = sample(700);
        for codec in Codec::ALL {
            let good = compressed(codec, &bytes);
            for at in 0..good.len() {
                let mut bad = good.clone();
                bad[at] ^= 0x41;
                let _ = decompress(codec, &bad, 10_000);
                let cut = decompress(codec, &good[..at], 10_000);
                // An LZ4 frame whose end mark is cut off is still whole to the decoder; nothing of the records is missing.
                let is_end_mark = codec == Codec::Lz4 && at >= good.len() - 4;
                assert!(is_end_mark || cut.as_ref() != Ok(&bytes), "{codec:?} cut at {at}");
            }
        }
    }
}
