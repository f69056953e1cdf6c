//! The logo of an app: what a partner uploads is read as a picture, made small, and written anew.
//!
//! 1. [`Logo::draw`] looks at the first bytes for what it is, at its size before any memory is taken
//!    for it, decodes its first frame, scales that into a square and writes a PNG of pixels alone: no
//!    metadata, no second meaning, nothing of the upload itself;
//! 2. [`Logos`] does that on threads of its own, few at a time.
//!
//! A [`Logo`] has no other constructor, so nothing that somebody sent is ever stored or served.

use std::io::Cursor;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use axum::body::Bytes;
use image::codecs::png::PngEncoder;
use image::imageops::{self, FilterType};
use image::{
    DynamicImage, ExtendedColorType, ImageDecoder as _, ImageEncoder as _, ImageFormat,
    ImageReader, Limits, RgbaImage,
};
use tokio::sync::Semaphore;

/// No upload is larger, in bytes.
pub const MAX_UPLOAD_BYTES: usize = 256 * 1024;
/// No picture that is read is wider or higher, in pixels.
pub const MAX_UPLOAD_SIDE: u32 = 2048;
/// No logo is wider or higher, in pixels.
pub const MAX_SIDE: u32 = 256;
/// What a decoder may take beside the picture itself, in bytes.
const MAX_DECODER_BYTES: u64 = 64 * 1024 * 1024;
/// How many are drawn at once.
const AT_ONCE: usize = 2;

/// A logo: a square PNG that this server wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logo {
    png: Vec<u8>,
    digest: LogoDigest,
}

/// The SHA-256 of a logo's PNG, by which it is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogoDigest(pub [u8; 32]);

/// Why an upload makes no logo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogoFault {
    /// There is nothing in it.
    Empty,
    /// It has more bytes than [`MAX_UPLOAD_BYTES`].
    TooLarge,
    /// It is something else, whatever its name says.
    NoPicture,
    /// It has more pixels than are read.
    TooManyPixels {
        /// as it says itself
        width: u32,
        /// as it says itself
        height: u32,
    },
    /// It begins as a picture and does not go on as one.
    Damaged,
}

/// Why no logo was drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotDrawn {
    /// The upload is at fault.
    Fault(LogoFault),
    /// Too many are drawn at this moment.
    Busy,
}

/// Where logos are drawn, a few at a time. Cloned freely: all clones share the bound.
#[derive(Clone, Debug)]
pub struct Logos(Arc<Semaphore>);

impl Logo {
    /// Draws a logo of what was uploaded. It takes as long as a picture takes, on this thread.
    ///
    /// # Errors
    /// [`LogoFault`]
    pub fn draw(upload: &[u8]) -> Result<Logo, LogoFault> {
        let png = write(&square(&scaled(read(upload)?)))?;
        let mut sum = [0; 32];
        sum.copy_from_slice(digest(&SHA256, &png).as_ref());
        Ok(Logo { png, digest: LogoDigest(sum) })
    }

    /// The picture.
    pub fn png(&self) -> &[u8] {
        &self.png
    }

    /// Its name.
    pub fn digest(&self) -> LogoDigest {
        self.digest
    }
}

impl LogoFault {
    /// What is wrong and what to do, in a sentence.
    pub fn words(self) -> String {
        match self {
            LogoFault::Empty => "Choose a file first.".to_owned(),
            LogoFault::TooLarge => format!(
                "This file is too large: a logo has at most {} KiB. Save it with fewer pixels.",
                MAX_UPLOAD_BYTES / 1024
            ),
            LogoFault::NoPicture => "This is no PNG, JPEG or WebP picture, whatever its name \
                                     says. Save it as one of these, and choose that file."
                .to_owned(),
            LogoFault::TooManyPixels { width, height } => format!(
                "This picture has {width} × {height} pixels, and at most {MAX_UPLOAD_SIDE} × \
                 {MAX_UPLOAD_SIDE} are read. Save it smaller."
            ),
            LogoFault::Damaged => "This picture cannot be read: it is damaged, or was cut off. \
                                   Save it anew, and choose that file."
                .to_owned(),
        }
    }
}

impl Default for Logos {
    fn default() -> Logos {
        Logos(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

impl Logos {
    /// Draws a logo, unless too many are drawn already. The place belongs to the work: a caller that
    /// goes away frees nothing before it is done.
    ///
    /// # Errors
    /// [`NotDrawn`]
    pub async fn draw(&self, upload: Bytes) -> Result<Logo, NotDrawn> {
        let place = Arc::clone(&self.0).try_acquire_owned().map_err(|_| NotDrawn::Busy)?;
        let drawn = tokio::task::spawn_blocking(move || {
            let drawn = Logo::draw(&upload);
            drop(place);
            drawn
        });
        // A decoder that gave up on what it read has read something that is no picture.
        drawn.await.unwrap_or(Err(LogoFault::Damaged)).map_err(NotDrawn::Fault)
    }
}

/// The first frame, as its metadata says that it stands upright.
fn read(upload: &[u8]) -> Result<DynamicImage, LogoFault> {
    if upload.is_empty() {
        return Err(LogoFault::Empty);
    }
    if upload.len() > MAX_UPLOAD_BYTES {
        return Err(LogoFault::TooLarge);
    }
    // By its first bytes alone: what a browser or a name says of it decides nothing.
    let format = match image::guess_format(upload) {
        Ok(format @ (ImageFormat::Png | ImageFormat::Jpeg | ImageFormat::WebP)) => format,
        _ => return Err(LogoFault::NoPicture),
    };
    let mut reader = ImageReader::with_format(Cursor::new(upload), format);
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MAX_DECODER_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|_| LogoFault::Damaged)?;
    // A file of a few hundred bytes may hold gigabytes of one colour.
    let (width, height) = decoder.dimensions();
    if width > MAX_UPLOAD_SIDE || height > MAX_UPLOAD_SIDE {
        return Err(LogoFault::TooManyPixels { width, height });
    }
    let orientation = decoder.orientation().map_err(|_| LogoFault::Damaged)?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(|_| LogoFault::Damaged)?;
    picture.apply_orientation(orientation);
    if picture.width() == 0 || picture.height() == 0 {
        return Err(LogoFault::Damaged);
    }
    Ok(picture)
}

/// Its longer side no longer than [`MAX_SIDE`]; what is small stays as it is.
fn scaled(picture: DynamicImage) -> RgbaImage {
    let mut pixels = picture.into_rgba8();
    let (width, height) = pixels.dimensions();
    let longer = width.max(height);
    if longer <= MAX_SIDE {
        return pixels;
    }
    let side = |side: u32| ((side * MAX_SIDE + longer / 2) / longer).max(1);
    // The colour of what nobody sees must not bleed into the edge of what everybody does.
    for pixel in pixels.pixels_mut() {
        let [red, green, blue, alpha] = pixel.0;
        let weighed = |colour: u8| weigh(colour.into(), alpha.into(), 255);
        pixel.0 = [weighed(red), weighed(green), weighed(blue), alpha];
    }
    let (width, height) = (side(width), side(height));
    let small = DynamicImage::from(pixels).resize_exact(width, height, FilterType::CatmullRom);
    let mut small = small.into_rgba8();
    for pixel in small.pixels_mut() {
        let [red, green, blue, alpha] = pixel.0;
        let full = |colour: u8| weigh(colour.into(), 255, u32::from(alpha).max(1));
        pixel.0 = [full(red), full(green), full(blue), alpha];
    }
    small
}

/// `colour * by / of`, rounded, and no more than a colour may be.
fn weigh(colour: u32, by: u32, of: u32) -> u8 {
    u8::try_from((colour * by + of / 2) / of).unwrap_or(u8::MAX)
}

/// In the middle of a square, on nothing.
fn square(pixels: &RgbaImage) -> RgbaImage {
    let (width, height) = pixels.dimensions();
    let side = width.max(height);
    let mut canvas = RgbaImage::new(side, side);
    let (left, top) = ((side - width) / 2, (side - height) / 2);
    imageops::replace(&mut canvas, pixels, left.into(), top.into());
    canvas
}

fn write(pixels: &RgbaImage) -> Result<Vec<u8>, LogoFault> {
    let mut png = Vec::new();
    let (width, height) = pixels.dimensions();
    PngEncoder::new(&mut png)
        .write_image(pixels.as_raw(), width, height, ExtendedColorType::Rgba8)
        .map_err(|_| LogoFault::Damaged)?;
    Ok(png)
}
