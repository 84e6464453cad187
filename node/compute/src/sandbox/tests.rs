#![allow(clippy::unwrap_used)] // Helpers of tests may panic as the tests do.

use super::*;
use std::{fs, net, os::unix::net::UnixListener, process::Command, thread};

/// Runs `work` on a thread of its own with all walls around it, and `cache` inside: walls are the thread's.
fn confined<T: Send + 'static>(
    cache: &Path,
    work: impl FnOnce() -> T + Send + 'static,
) -> (Guard, Guard, T) {
    let cache = cache.to_owned();
    let inside = move || {
        rustix::thread::set_no_new_privs(true).unwrap();
        let landlock = files::confine(Some(&cache));
        let seccomp = system_calls::confine();
        (landlock, seccomp, work())
    };
    thread::spawn(inside).join().unwrap()
}

fn kind<T>(result: io::Result<T>) -> Result<(), io::ErrorKind> {
    result.map(|_| ()).map_err(|error| error.kind())
}

const DENIED: Result<(), io::ErrorKind> = Err(io::ErrorKind::PermissionDenied);

#[test]
fn no_network_no_process_and_no_signal_are_left() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("socket");
    let (_, seccomp, results) = confined(directory.path(), move || {
        let parent = rustix::process::getppid().unwrap_or(rustix::process::Pid::INIT);
        [
            kind(net::TcpListener::bind("127.0.0.1:0")),
            kind(net::UdpSocket::bind("127.0.0.1:0")),
            kind(UnixListener::bind(socket)),
            kind(Command::new("/bin/true").spawn()),
            kind(rustix::process::test_kill_process(parent).map_err(Into::into)),
        ]
    });
    assert_eq!(seccomp, Guard::Full);
    assert_eq!(results, [DENIED; 5]);
}

#[test]
fn no_file_is_left_but_the_caches_which_can_be_read() {
    let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let secret = outside.path().join("secret");
    fs::write(&secret, "key").unwrap();
    let new = outside.path().join("new");
    let kept = inside.path().join("kept");
    fs::write(&kept, "machine code").unwrap();
    let moved = inside.path().join("moved");
    let directory = inside.path().to_owned();
    let (landlock, _, (denied, allowed)) = confined(inside.path(), move || {
        let denied = [
            kind(fs::read(&secret)),
            kind(fs::read("/etc/passwd")),
            kind(fs::write(&new, "x")),
            kind(fs::remove_file(&secret)),
            kind(fs::read_dir("/")),
            kind(fs::write(&kept, "x")),
            kind(fs::write(&moved, "x")),
            kind(fs::rename(&kept, &moved)),
            kind(fs::remove_file(&kept)),
        ];
        let allowed = [kind(fs::read(&kept)), kind(fs::read_dir(&directory))];
        (denied, allowed)
    });
    if let Guard::Absent { why } = landlock {
        // A kernel without Landlock: the report says so, and nothing else can be tested.
        assert!(!why.is_empty());
        return;
    }
    assert_eq!(denied, [DENIED; 9]);
    assert_eq!(allowed, [Ok(()); 2]);
}

#[test]
fn threads_and_memory_are_left() {
    let directory = tempfile::tempdir().unwrap();
    let (_, _, sum) = confined(directory.path(), || {
        let workers: Vec<_> = (0..4u8)
            .map(|number| thread::spawn(move || vec![number; 10 << 20].len()))
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .sum::<usize>()
    });
    assert_eq!(sum, 40 << 20);
}

#[test]
fn the_report_is_for_a_person() {
    let sandbox = Sandbox {
        seccomp: Guard::Full,
        landlock: Guard::Absent {
            why: "the kernel lacks Landlock".into(),
        },
        rlimits: vec![("files".into(), 256)],
    };
    assert_eq!(
        sandbox.to_string(),
        "seccomp in force, Landlock absent (the kernel lacks Landlock), files 256"
    );
    assert!(!sandbox.is_full());
}
