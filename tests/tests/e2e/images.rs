//! Image processing (`examples/processes/images`): a photograph is resized and compressed, and what comes out is decoded by another
//! library than the one that made it.

use super::processes::{example, id_of};
use jpeg_decoder::{Decoder, PixelFormat};
use rings_tests::{Call, Program, Ring};
use serde_json::Value;
use std::{fs, path::Path};
use tempfile::TempDir;

fn rings(args: &[&str]) -> Call {
    Call::new(Program::Honest).args(args).env("RINGS_DIR", "")
}

/// A decoded picture.
struct Picture {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl Picture {
    fn read(jpeg: &[u8]) -> Self {
        let mut decoder = Decoder::new(jpeg);
        let pixels = decoder.decode().unwrap();
        let info = decoder.info().unwrap();
        assert_eq!(info.pixel_format, PixelFormat::RGB24);
        Self {
            width: info.width.into(),
            height: info.height.into(),
            pixels,
        }
    }

    /// The mean of each colour in one of 8 × 8 fields.
    fn mean(&self, column: usize, row: usize) -> [f64; 3] {
        let (left, right) = (self.width * column / 8, self.width * (column + 1) / 8);
        let (top, bottom) = (self.height * row / 8, self.height * (row + 1) / 8);
        let mut sums = [0.0; 3];
        for y in top..bottom {
            for x in left..right {
                let at = 3 * (y * self.width + x);
                for (sum, value) in sums.iter_mut().zip(&self.pixels[at..at + 3]) {
                    *sum += f64::from(*value);
                }
            }
        }
        sums.map(|sum| sum / ((right - left) * (bottom - top)) as f64)
    }

    /// The largest difference of a field's mean to that of another picture.
    fn difference(&self, other: &Self) -> f64 {
        let fields = (0..64).flat_map(|field| {
            let (one, two) = (
                self.mean(field % 8, field / 8),
                other.mean(field % 8, field / 8),
            );
            one.into_iter().zip(two)
        });
        fields.fold(0.0, |most, (one, two)| f64::max(most, (one - two).abs()))
    }
}

/// What an execution answered on a ring.
fn outputs_there(ring: &Ring, execution: &str) -> Value {
    let shown = ring.rings(["execution", "show", execution, "--json"]).ok();
    let shown: Value = serde_json::from_slice(&shown).unwrap();
    shown["answer"]["outputs"].clone()
}

/// What an execution answered.
fn outputs(records: &Path, execution: &str) -> Value {
    let args = [
        "trace",
        execution,
        "--json",
        "--records",
        records.to_str().unwrap(),
    ];
    let steps: Value = serde_json::from_str(&rings(&args).text()).unwrap();
    let document = records
        .join("documents")
        .join(steps[0]["result"].as_str().unwrap());
    let answer: Value = serde_json::from_slice(&fs::read(document).unwrap()).unwrap();
    answer["outputs"].clone()
}

fn base64(text: &str) -> Vec<u8> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let letters = text.bytes().filter(|letter| *letter != b'=');
    let values =
        letters.map(|letter| LETTERS.iter().position(|other| *other == letter).unwrap() as u32);
    let values: Vec<u32> = values.collect();
    let bytes = values.chunks(4).flat_map(|chunk| {
        let bits = chunk.iter().fold(0, |bits, value| bits << 6 | value) << (6 * (4 - chunk.len()));
        bits.to_be_bytes()[1..chunk.len()].to_vec()
    });
    bytes.collect()
}

#[test]
fn a_photograph_is_resized_and_compressed() {
    let home = TempDir::new().unwrap();
    let records = home.path().join("records");
    let images = example("images");
    let photograph = images.join("chelsea.jpg");
    let event = |path: &Path| {
        format!(
            "{{\"name\": \"a\", \"picture\": \"@{}\"}}\n",
            path.display()
        )
    };
    let broken = home.path().join("broken.jpg");
    fs::write(&broken, "no picture").unwrap();
    let call = rings(&[
        "process",
        "dev",
        images.to_str().unwrap(),
        "--records",
        records.to_str().unwrap(),
    ]);
    let lines = call.stdin(event(&photograph) + &event(&broken)).text();
    assert!(lines.contains("resize  succeeded(unreadable)"), "{lines}");

    let before = Picture::read(&fs::read(photograph).unwrap());
    assert_eq!((before.width, before.height), (451, 300));
    let mut last = usize::MAX;
    for (node, most) in [("compress", 5.0), ("harder", 10.0)] {
        let outputs = outputs(&records, id_of(&lines, node));
        let jpeg = base64(outputs["jpeg"].as_str().unwrap());
        assert_eq!(outputs["bytes"], jpeg.len());
        assert!(jpeg.len() < last && jpeg.len() < 10_000, "{}", jpeg.len());
        last = jpeg.len();
        let after = Picture::read(&jpeg);
        assert_eq!((after.width, after.height), (160, 106));
        // The same picture: each part of it has the colours that it had, of 256 shades. (Mirrored, one differs by 60 and more.)
        let difference = before.difference(&after);
        assert!(difference < most, "{node}: {difference}");
    }
}

#[test]
fn a_ring_agrees_on_a_small_picture() {
    let ring = Ring::up(3);
    let images = example("images");
    let images = images.to_str().unwrap();
    let instance = ring.rings(["service", "deploy", images]).text();
    ring.rings(["process", "create", images]).ok();
    // The picture that the photograph is made into on one machine is resized further by the ring.
    let home = TempDir::new().unwrap();
    let records = home.path().join("records");
    let records = records.to_str().unwrap();
    let photograph = format!("{{\"name\": \"a\", \"picture\": \"@{images}/chelsea.jpg\"}}\n");
    let call = rings(&["process", "dev", images, "--records", records]);
    let lines = call.stdin(photograph).text();
    let made = outputs(Path::new(records), id_of(&lines, "harder"));
    let small = base64(made["jpeg"].as_str().unwrap());
    let before = Picture::read(&small);
    let picture = ring.write("small.jpg", small);

    let data = format!(
        "{{\"name\": \"small\", \"picture\": \"@{}\"}}",
        picture.display()
    );
    let lines = ring
        .rings(["emit", instance.trim(), "uploaded", &data])
        .text();
    let id = id_of(&lines, "compress");
    let outputs = outputs_there(&ring, id);
    let jpeg = base64(outputs["jpeg"].as_str().unwrap());
    assert_eq!(outputs["bytes"], jpeg.len());
    let after = Picture::read(&jpeg);
    assert_eq!((after.width, after.height), (160, 106));
    assert!(before.difference(&after) < 5.0);
    let trace = ring.rings(["trace", id]).text();
    assert_eq!(trace.matches("agreed as request").count(), 2, "{trace}");
}
