//! Pictures for uploads: some that are what they say, and some that are not.

#![expect(unreachable_pub, reason = "seen by the other files of this binary alone")]

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, Rgba, RgbaImage};

pub const RED: Rgba<u8> = Rgba([200, 30, 30, 255]);
pub const BLUE: Rgba<u8> = Rgba([30, 30, 200, 255]);
/// What stands beside the pixels, and must not come through.
pub const CANARY: &str = "<script>alert('canary')</script>";
const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// One colour.
pub fn plain(width: u32, height: u32, colour: Rgba<u8>) -> RgbaImage {
    RgbaImage::from_pixel(width, height, colour)
}

/// Written in that format.
pub fn written(picture: &RgbaImage, format: ImageFormat) -> Vec<u8> {
    let picture = DynamicImage::ImageRgba8(picture.clone());
    let picture = match format {
        ImageFormat::Jpeg => DynamicImage::ImageRgb8(picture.into_rgb8()),
        _ => picture,
    };
    let mut bytes = Vec::new();
    picture.write_to(&mut Cursor::new(&mut bytes), format).unwrap();
    bytes
}

/// A red PNG.
pub fn png(width: u32, height: u32) -> Vec<u8> {
    written(&plain(width, height, RED), ImageFormat::Png)
}

/// Noise, which no format makes small.
pub fn noise(side: u32) -> Vec<u8> {
    let mut seed = 1_u32;
    let mut next = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        seed.to_be_bytes()[0]
    };
    let picture = RgbaImage::from_fn(side, side, |_, _| Rgba([next(), next(), next(), 255]));
    written(&picture, ImageFormat::Png)
}

/// A PNG with text in it, and a web page behind its end.
pub fn polyglot() -> Vec<u8> {
    let mut chunks = chunks(&png(40, 40));
    let text = [b"Comment\0".as_slice(), CANARY.as_bytes()].concat();
    chunks.insert(1, (*b"tEXt", text));
    let page = format!("<!doctype html><html><body>{CANARY}</body></html>");
    [joined(&chunks), page.into_bytes()].concat()
}

/// A JPEG of a camera: it says where it was taken, and that it lies on its side.
pub fn photograph() -> Vec<u8> {
    let picture = RgbaImage::from_fn(80, 40, |x, _| if x < 40 { RED } else { BLUE });
    let jpeg = written(&picture, ImageFormat::Jpeg);
    // TIFF with two entries: ImageDescription, and Orientation 6, "turn it clockwise".
    let mut tiff = b"II*\0\x08\0\0\0\x02\0".to_vec();
    let length = u32::try_from(CANARY.len() + 1).unwrap();
    tiff.extend([&b"\x0e\x01\x02\0"[..], &length.to_le_bytes(), &38_u32.to_le_bytes()].concat());
    tiff.extend(b"\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0");
    tiff.extend([CANARY.as_bytes(), b"\0"].concat());
    let exif = [b"Exif\0\0".as_slice(), &tiff].concat();
    let length = u16::try_from(exif.len() + 2).unwrap().to_be_bytes();
    [&jpeg[..2], &b"\xff\xe1"[..], &length, &exif, &jpeg[2..]].concat()
}

/// A PNG of some sixty bytes that says that it has gigabytes of pixels.
pub fn bomb() -> Vec<u8> {
    let side = 60_000_u32.to_be_bytes();
    let header = [&side[..], &side, &[8, 6, 0, 0, 0]].concat();
    joined(&[(*b"IHDR", header), (*b"IDAT", vec![0x78, 0x9c, 0x63, 0, 0]), (*b"IEND", vec![])])
}

/// The same as a JPEG.
pub fn jpeg_bomb() -> Vec<u8> {
    let mut jpeg = written(&plain(16, 16, RED), ImageFormat::Jpeg);
    let frame = jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xea, 0x60, 0xea, 0x60]);
    jpeg
}

/// An animated PNG: red, and then blue.
pub fn animated_png() -> Vec<u8> {
    let data = |colour| {
        let chunks = chunks(&written(&plain(32, 32, colour), ImageFormat::Png));
        let data = chunks.into_iter().filter(|(kind, _)| kind == b"IDAT");
        data.flat_map(|(_, bytes)| bytes).collect::<Vec<u8>>()
    };
    let control = |number: u32| {
        let numbers = [number, 32, 32, 0, 0].map(u32::to_be_bytes).concat();
        (*b"fcTL", [&numbers[..], &[0, 1, 0, 10, 0, 0]].concat())
    };
    let header = chunks(&png(32, 32)).swap_remove(0);
    joined(&[
        header,
        (*b"acTL", [2_u32, 0].map(u32::to_be_bytes).concat()),
        control(0),
        (*b"IDAT", data(RED)),
        control(1),
        (*b"fdAT", [&2_u32.to_be_bytes()[..], &data(BLUE)].concat()),
        (*b"IEND", vec![]),
    ])
}

/// An animated WebP: red, and then blue.
pub fn animated_webp() -> Vec<u8> {
    let frame = |colour| {
        let webp = written(&plain(32, 32, colour), ImageFormat::WebP);
        // Place, size less one, 100 ms, as it stands; then the picture as it was written.
        let head = [&[0; 6][..], &[31, 0, 0, 31, 0, 0, 100, 0, 0, 0]].concat();
        riff(*b"ANMF", &[&head[..], &webp[12..]].concat())
    };
    let parts = [
        riff(*b"VP8X", &[0x02, 0, 0, 0, 31, 0, 0, 31, 0, 0]),
        riff(*b"ANIM", &[0; 6]),
        frame(RED),
        frame(BLUE),
    ];
    riff(*b"RIFF", &[&b"WEBP"[..], &parts.concat()].concat())
}

fn riff(kind: [u8; 4], data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).unwrap().to_le_bytes();
    let padding = &[0][..data.len() % 2];
    [&kind[..], &length, data, padding].concat()
}

/// What a PNG is made of.
pub fn chunks(png: &[u8]) -> Vec<([u8; 4], Vec<u8>)> {
    let mut rest = png.strip_prefix(SIGNATURE).expect("a PNG");
    let mut chunks = Vec::new();
    while !rest.is_empty() {
        let length = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
        chunks.push((rest[4..8].try_into().unwrap(), rest[8..8 + length].to_vec()));
        rest = &rest[12 + length..];
    }
    chunks
}

fn joined(chunks: &[([u8; 4], Vec<u8>)]) -> Vec<u8> {
    let mut png = SIGNATURE.to_vec();
    for (kind, data) in chunks {
        let checked = [&kind[..], data].concat();
        png.extend(u32::try_from(data.len()).unwrap().to_be_bytes());
        png.extend(&checked);
        png.extend(crc(&checked).to_be_bytes());
    }
    png
}

/// The check of a chunk (PNG, annex D).
fn crc(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}
