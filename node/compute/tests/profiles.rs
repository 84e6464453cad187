//! Several worker programs side by side.

#![allow(clippy::unwrap_used)] // Helpers of tests may panic as the tests do.

mod common;

use common::{run, start, task, OTHER_WORKER, WALL_LIMIT};
use rings_compute::{profile, ComputeError, PoolConfig, Pools};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

fn config() -> PoolConfig {
    PoolConfig {
        command: (env!("CARGO_BIN_EXE_rings-worker").into(), vec![]),
        workers: 1,
        cache: None,
        wall_limit: WALL_LIMIT,
        input_limit: WALL_LIMIT,
        compile_limit: WALL_LIMIT,
    }
}

/// A program of that text, which can be started.
fn script(directory: &Path, name: &str, text: &str) -> PathBuf {
    let path = directory.join(name);
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[tokio::test]
async fn each_worker_program_is_asked_for_its_profile_and_found_by_it() {
    let directory = tempfile::tempdir().unwrap();
    let other = script(directory.path(), "other", OTHER_WORKER);
    // The same profile twice is one pool.
    let same = PathBuf::from(env!("CARGO_BIN_EXE_rings-worker"));
    let pools = Pools::start(config(), &[other.clone(), same, other])
        .await
        .unwrap();
    assert_eq!(
        pools.profiles().collect::<Vec<_>>(),
        [profile().as_str(), "other"]
    );
    assert_eq!(pools.of("other").unwrap().profile(), "other");
    let own = pools.of(&profile()).unwrap();
    let module = start("(call $show (i32.const 7))");
    assert_eq!(
        run(own, &task(&module), &module, b"").await.1,
        7u32.to_le_bytes()
    );
    pools.shutdown().await;
}

#[tokio::test]
async fn a_profile_that_nobody_computes_is_declined_in_sight() {
    let pools = Pools::start(config(), &[]).await.unwrap();
    let Err(declined) = pools.of("wasmtime-1.0.0-vax") else {
        panic!("it is there");
    };
    assert!(declined.is_declined() && !declined.is_transient());
    assert!(matches!(&declined, ComputeError::NoProfile { have, .. } if *have == [profile()]));
    let said = declined.to_string();
    assert!(
        said.contains("wasmtime-1.0.0-vax") && said.contains(&profile()),
        "{said}"
    );
    pools.shutdown().await;
}

#[tokio::test]
async fn a_program_that_is_no_worker_is_an_error_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let broken = script(directory.path(), "broken", "exit 3");
    let died = Pools::start(config(), &[broken]).await.err().unwrap();
    assert!(matches!(died, ComputeError::Died { .. }), "{died}");
    let missing = Pools::start(config(), &["/no/such/program".into()]).await;
    let missing = missing.err().unwrap();
    assert!(matches!(missing, ComputeError::Spawn { .. }), "{missing}");
}
