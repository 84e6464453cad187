//! The tasks of image processing (`processes/images`): a picture is made smaller, and compressed.
//!
//! A task reads an execution on the first line of its standard input, and writes its answer; the content of a file follows that
//! line. A picture in an answer is a text in base64, as the bytes of an answer are JSON. Which task it is, its argument says.

use base64::{engine::general_purpose::STANDARD, Engine};
use image::{
    codecs::jpeg::JpegEncoder,
    imageops::{self, FilterType},
    DynamicImage, ImageFormat, ImageReader, Limits, RgbImage,
};
use serde_json::{json, Value};
use std::{
    env,
    io::{self, BufRead, Cursor, Read},
    process::ExitCode,
};

/// Pixels on a side of a picture that is read, and bytes for it.
const MOST_PIXELS: u32 = 8_000;
const MOST_BYTES: u64 = 128 << 20;
/// Characters of a picture in an answer: an answer has at most 256 KiB, and so has the execution that it becomes an input of.
const MOST_TEXT: usize = 200_000;

fn main() -> ExitCode {
    match answer() {
        Ok(answer) => {
            println!("{answer}");
            ExitCode::SUCCESS
        }
        Err(what) => {
            eprintln!("picture: {what}");
            ExitCode::FAILURE
        }
    }
}

fn answer() -> Result<Value, String> {
    let mut input = io::stdin().lock();
    let mut line = String::new();
    input
        .read_line(&mut line)
        .map_err(|error| error.to_string())?;
    let execution: Value = serde_json::from_str(&line).map_err(|error| error.to_string())?;
    let inputs = &execution["inputs"];
    match env::args().nth(1).as_deref() {
        Some("resize") => {
            let mut file = Vec::new();
            input
                .read_to_end(&mut file)
                .map_err(|error| error.to_string())?;
            resize(&file, inputs)
        }
        Some("compress") => compress(inputs),
        _ => Err("the argument is resize or compress".into()),
    }
}

fn number(inputs: &Value, name: &str) -> u32 {
    let number = inputs[name].as_u64().unwrap_or_default();
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// The picture in a file of any of the formats that this program knows.
fn read(file: &[u8]) -> Result<DynamicImage, String> {
    let reader = ImageReader::new(Cursor::new(file)).with_guessed_format();
    let mut reader = reader.map_err(|error| error.to_string())?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(MOST_PIXELS);
    limits.max_image_height = Some(MOST_PIXELS);
    limits.max_alloc = Some(MOST_BYTES);
    reader.limits(limits);
    reader.decode().map_err(|error| error.to_string())
}

/// At most so wide, with the same proportions. One kind of pixels: code for each of ten would be most of the program.
fn shrink(picture: RgbImage, most: u32) -> RgbImage {
    let (width, height) = (f64::from(picture.width()), f64::from(picture.height()));
    let ratio = f64::from(most) / width;
    let ratio = ratio.min(f64::from(MOST_PIXELS) / height);
    let scaled = |length: f64| ((length * ratio).round() as u32).max(1);
    imageops::resize(
        &picture,
        scaled(width),
        scaled(height),
        FilterType::Lanczos3,
    )
}

/// Makes a picture as wide as is asked for, at most, in the same proportions.
fn resize(file: &[u8], inputs: &Value) -> Result<Value, String> {
    let picture = match read(file) {
        Ok(picture) => picture,
        Err(why) => return Ok(json!({"status": "unreadable", "outputs": {"why": why}})),
    };
    let width = number(inputs, "width").min(picture.width());
    let smaller = shrink(picture.into_rgb8(), width);
    let (width, height) = smaller.dimensions();
    let mut png = Cursor::new(Vec::new());
    smaller
        .write_to(&mut png, ImageFormat::Png)
        .map_err(|error| error.to_string())?;
    let png = STANDARD.encode(png.into_inner());
    if png.len() > MOST_TEXT {
        return Ok(json!({"status": "too_large", "outputs": {"width": width, "height": height}}));
    }
    Ok(json!({"status": "resized", "outputs": {"height": height, "png": png, "width": width}}))
}

/// Writes a picture as JPEG.
fn compress(inputs: &Value) -> Result<Value, String> {
    let png = STANDARD.decode(inputs["png"].as_str().unwrap_or_default());
    let png = png.map_err(|error| format!("png is no base64: {error}"))?;
    let picture = read(&png)?.to_rgb8();
    let quality =
        u8::try_from(number(inputs, "quality").clamp(1, 100)).map_err(|error| error.to_string())?;
    let mut jpeg = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut jpeg, quality);
    picture
        .write_with_encoder(encoder)
        .map_err(|error| error.to_string())?;
    Ok(
        json!({"status": "compressed", "outputs": {"bytes": jpeg.len(), "jpeg": STANDARD.encode(jpeg)}}),
    )
}
