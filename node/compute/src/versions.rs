//! The exact versions of the libraries on which a program's result depends.

/// The engine. Fuel and machine code depend on it.
pub const WASMTIME_VERSION: &str = "48.0.8";
/// The second engine.
pub const WASMI_VERSION: &str = "2.0.0";
/// The validator. It decides which modules are valid.
pub const WASMPARSER_VERSION: &str = "0.254.2";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_named_versions_are_those_in_the_lock_file() {
        let lock = include_str!("../../../Cargo.lock");
        for (name, version) in [
            ("wasmtime", WASMTIME_VERSION),
            ("wasmi", WASMI_VERSION),
            ("wasmparser", WASMPARSER_VERSION),
        ] {
            let entry = format!("name = \"{name}\"\nversion = \"{version}\"\n");
            assert!(lock.contains(&entry), "{name}");
        }
    }
}
