//! Statistics of the numbers in its input (separated by white space), and a chaotic orbit seeded by them.
//!
//! The orbit doubles every difference in the last bit at each of its steps: two machines that disagree in one
//! rounding of one operation print entirely different digits. So agreement on this program means something.

use std::{
    io::{self, BufRead},
    process::ExitCode,
};

/// Steps of the logistic map.
const STEPS: u32 = 1000;

/// Welford's running mean and variance.
struct Statistics {
    count: u64,
    mean: f64,
    squares: f64,
    least: f64,
    greatest: f64,
}

impl Statistics {
    fn new() -> Self {
        Self {
            count: 0,
            mean: 0.0,
            squares: 0.0,
            least: f64::INFINITY,
            greatest: f64::NEG_INFINITY,
        }
    }

    fn add(&mut self, value: f64) {
        self.count += 1;
        let delta = value - self.mean;
        self.mean += delta / self.count as f64;
        self.squares += delta * (value - self.mean);
        self.least = self.least.min(value);
        self.greatest = self.greatest.max(value);
    }

    /// Variance of the sample.
    fn variance(&self) -> f64 {
        match self.count {
            0 | 1 => 0.0,
            count => self.squares / (count - 1) as f64,
        }
    }
}

/// A point of the logistic map's orbit, from a start that depends on every bit of `seed`.
fn orbit(seed: f64) -> f64 {
    let mut x = 0.5 + 0.4 * seed.sin();
    for _ in 0..STEPS {
        x = 3.99 * x * (1.0 - x);
    }
    x
}

fn main() -> ExitCode {
    match statistics() {
        Ok(statistics) => {
            print(&statistics);
            ExitCode::SUCCESS
        }
        Err(what) => {
            eprintln!("mean: {what}");
            ExitCode::FAILURE
        }
    }
}

fn statistics() -> Result<Statistics, String> {
    let mut statistics = Statistics::new();
    for (number, line) in (1..).zip(io::stdin().lock().lines()) {
        let line = line.map_err(|error| format!("line {number}: {error}"))?;
        for word in line.split_whitespace() {
            let value = word
                .parse()
                .map_err(|_| format!("line {number}: {word:?} is not a number"))?;
            statistics.add(value);
        }
    }
    Ok(statistics)
}

/// Numbers are printed with as many digits as tell them from every other.
fn print(statistics: &Statistics) {
    let variance = statistics.variance();
    println!("count     {}", statistics.count);
    if statistics.count == 0 {
        return;
    }
    println!("mean      {:?}", statistics.mean);
    println!("variance  {variance:?}");
    println!("deviation {:?}", variance.sqrt());
    println!("least     {:?}", statistics.least);
    println!("greatest  {:?}", statistics.greatest);
    println!("orbit     {:?}", orbit(statistics.mean + variance));
}
