//! What benches measure with.

use std::{error::Error, time::Duration};

/// Processor time that this process has used, so that what else the machine does adds nothing. In steps of 10 ms.
///
/// # Errors
/// When the system does not tell it.
pub fn processor_time() -> Result<Duration, Box<dyn Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, rest) = stat
        .rsplit_once(')')
        .ok_or("an unknown form of /proc/self/stat")?;
    let ticks: Vec<u64> = rest
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    Ok(Duration::from_millis(10 * ticks.iter().sum::<u64>()))
}
