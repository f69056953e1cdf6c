//! S22: what is made of a picture that somebody uploaded, whatever it is.

use aws_lc_rs::digest::{SHA256, digest};
use grantor::logo::{Logo, LogoFault, MAX_SIDE, MAX_UPLOAD_BYTES, MAX_UPLOAD_SIDE};
use image::{ImageFormat, Rgba, RgbaImage};
use proptest::prelude::*;

use crate::pictures::{
    BLUE, CANARY, RED, animated_png, animated_webp, bomb, chunks, jpeg_bomb, noise, photograph,
    plain, png, polyglot, written,
};

/// The pixels of a logo, which is nothing but them.
fn pixels(logo: &Logo) -> RgbaImage {
    assert_eq!(digest(&SHA256, logo.png()).as_ref(), logo.digest().0);
    let kinds: Vec<[u8; 4]> = chunks(logo.png()).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds.first(), Some(b"IHDR"));
    assert_eq!(kinds.last(), Some(b"IEND"));
    assert!(kinds[1..kinds.len() - 1].iter().all(|kind| kind == b"IDAT"), "{kinds:?}");
    let pixels = image::load_from_memory_with_format(logo.png(), ImageFormat::Png).unwrap();
    let pixels = pixels.into_rgba8();
    assert_eq!(pixels.width(), pixels.height());
    assert!((1..=MAX_SIDE).contains(&pixels.width()));
    pixels
}

fn drawn(upload: &[u8]) -> RgbaImage {
    pixels(&Logo::draw(upload).unwrap())
}

fn fault(upload: &[u8]) -> LogoFault {
    Logo::draw(upload).unwrap_err()
}

#[track_caller]
fn assert_near(found: Rgba<u8>, expected: Rgba<u8>) {
    let apart = found.0.iter().zip(expected.0).map(|(one, other)| one.abs_diff(other)).max();
    assert!(apart.unwrap() <= 12, "{found:?} is not {expected:?}");
}

#[test]
fn s22_a_picture_of_each_format_becomes_a_small_square_of_the_same_picture() {
    for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP] {
        let wide = written(&plain(1000, 500, BLUE), format);
        let logo = drawn(&wide);
        assert_eq!(logo.dimensions(), (256, 256), "{format:?}");
        assert_near(*logo.get_pixel(128, 128), BLUE);
        // The rest of the square is nothing.
        assert_eq!((logo.get_pixel(128, 60)[3], logo.get_pixel(128, 196)[3]), (0, 0));
        let small = drawn(&written(&plain(20, 30, RED), format));
        assert_eq!(small.dimensions(), (30, 30), "{format:?}");
        assert_near(*small.get_pixel(15, 15), RED);
    }
    for (width, height) in [(1, 1), (2048, 1), (1, 2048), (2048, 2048), (257, 256)] {
        drawn(&png(width, height));
    }
}

#[test]
fn s22_the_colour_of_what_is_not_seen_does_not_come_to_the_edge() {
    let hidden = Rgba([255, 255, 255, 0]);
    let half = |x, _| if x < 301 { Rgba([0, 0, 0, 255]) } else { hidden };
    let logo = drawn(&written(&RgbaImage::from_fn(600, 600, half), ImageFormat::Png));
    for pixel in logo.pixels().filter(|pixel| pixel[3] > 0) {
        assert_eq!(pixel.0[..3], [0, 0, 0], "{pixel:?}");
    }
}

#[test]
fn s22_a_file_with_a_second_meaning_loses_it() {
    let upload = polyglot();
    assert!(String::from_utf8_lossy(&upload).contains(CANARY));
    let logo = Logo::draw(&upload).unwrap();
    assert_near(*pixels(&logo).get_pixel(20, 20), RED);
    assert!(!String::from_utf8_lossy(logo.png()).contains("canary"));
    // The name of a logo is that of its pixels, and not of what came with them.
    assert_eq!(logo.digest(), Logo::draw(&png(40, 40)).unwrap().digest());
}

#[test]
fn s22_what_a_camera_wrote_is_obeyed_once_and_forgotten() {
    let upload = photograph();
    assert!(String::from_utf8_lossy(&upload).contains(CANARY));
    let logo = Logo::draw(&upload).unwrap();
    let pixels = pixels(&logo);
    // It lay on its side: what was left is on top.
    assert_eq!(pixels.dimensions(), (80, 80));
    assert_near(*pixels.get_pixel(40, 10), RED);
    assert_near(*pixels.get_pixel(40, 70), BLUE);
    assert!(!String::from_utf8_lossy(logo.png()).contains("canary"));
}

#[test]
fn s22_of_what_moves_the_first_frame_is_taken() {
    for upload in [animated_png(), animated_webp()] {
        let logo = drawn(&upload);
        assert_eq!(logo.dimensions(), (32, 32));
        logo.pixels().for_each(|pixel| assert_near(*pixel, RED));
    }
}

#[test]
fn s22_gigabytes_of_pixels_are_refused_by_their_size_before_memory_is_taken() {
    for upload in [bomb(), jpeg_bomb()] {
        assert!(upload.len() < 2000);
        assert_eq!(fault(&upload), LogoFault::TooManyPixels { width: 60_000, height: 60_000 });
    }
    let (width, height) = (MAX_UPLOAD_SIDE + 1, 1);
    assert_eq!(fault(&png(width, height)), LogoFault::TooManyPixels { width, height });
    assert_eq!(fault(&noise(400)), LogoFault::TooLarge);
    assert_eq!(fault(&vec![0; MAX_UPLOAD_BYTES + 1]), LogoFault::TooLarge);
}

#[test]
fn s22_what_is_no_picture_is_none_whatever_its_name_says() {
    let svg = format!("<svg xmlns=\"http://www.w3.org/2000/svg\">{CANARY}</svg>");
    let xml = format!("<?xml version=\"1.0\"?>{svg}");
    let gif = b"GIF89a\x01\0\x01\0\0\0\0;";
    let bmp = b"BM\x3a\0\0\0\0\0\0\0\x36\0\0\0";
    for upload in [svg.as_bytes(), xml.as_bytes(), gif, bmp, b"%PDF-1.7", b"PK\x03\x04", b"x"] {
        assert_eq!(fault(upload), LogoFault::NoPicture, "{}", String::from_utf8_lossy(upload));
    }
    assert_eq!(fault(b""), LogoFault::Empty);
}

#[test]
fn s22_what_was_cut_off_is_refused() {
    let picture = RgbaImage::from_fn(64, 64, |x, y| Rgba([x as u8 * 3, y as u8 * 3, 90, 255]));
    for format in [ImageFormat::Png, ImageFormat::WebP] {
        let whole = written(&picture, format);
        for length in [16, 30, whole.len() / 2, whole.len() * 3 / 4] {
            assert_eq!(fault(&whole[..length]), LogoFault::Damaged, "{format:?} at {length}");
        }
    }
    // A JPEG without its end is shown as far as it goes, here as in browsers.
    let whole = written(&picture, ImageFormat::Jpeg);
    for length in [4, 30, 200] {
        assert_eq!(fault(&whole[..length]), LogoFault::Damaged, "at {length}");
    }
    drawn(&whole[..whole.len() - 40]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn s22_whatever_is_uploaded_becomes_a_small_square_or_is_refused(
        which in 0_usize..4,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        cut in any::<prop::sample::Index>(),
    ) {
        let begun = RgbaImage::from_fn(24, 40, |x, y| Rgba([x as u8 * 9, y as u8 * 5, 7, 200]));
        let mut upload = match which {
            0 => written(&begun, ImageFormat::Png),
            1 => written(&begun, ImageFormat::WebP),
            2 => photograph(),
            _ => animated_webp(),
        };
        for (at, byte) in changes {
            let at = at.index(upload.len());
            upload[at] = byte;
        }
        upload.truncate(upload.len() - cut.index(upload.len()) / 8);
        if let Ok(logo) = Logo::draw(&upload) {
            pixels(&logo);
        }
    }
}
