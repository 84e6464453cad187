//! The committed files are what the sources compile to. Needs a Solidity compiler.

use rings_abi::generator::{self, Artifact, GenerateError};
use std::sync::LazyLock;

static COMPILED: LazyLock<Vec<Artifact>> = LazyLock::new(|| {
    generator::compile(&generator::project(), &generator::solc()).expect("the contracts compile")
});

#[test]
fn the_committed_files_are_up_to_date() {
    generator::check(&generator::project(), &COMPILED).expect("no drift");
}

#[test]
fn a_change_is_drift_and_named() {
    let mut changed = COMPILED.clone();
    changed[1].bytecode.push_str("00");
    let error = generator::check(&generator::project(), &changed).expect_err("drift");
    assert!(
        matches!(&error, GenerateError::Drift(names) if names == &[changed[1].contract_name.clone()])
    );
    assert!(error.to_string().contains("generate-abi"), "{error}");
}

#[test]
fn a_compiler_that_is_not_there_is_named() {
    let error = generator::compile(&generator::project(), "/no/such/solc".as_ref())
        .expect_err("no compiler");
    assert!(matches!(error, GenerateError::Solc { .. }), "{error}");
}
