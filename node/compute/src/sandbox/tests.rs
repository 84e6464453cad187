#![allow(clippy::unwrap_used)] // Helpers of tests may panic as the tests do.

use super::*;
use std::{fs, net, os::unix::net::UnixListener, process::Command, thread};

/// Runs `work` on a thread of its own with all walls around it, and `cache` inside. The sandbox applies to that thread
/// only.
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

/// Which signal tells about a file. The `libc` crate does not name it.
const F_SETSIG: libc::c_int = 10;

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

#[test]
#[allow(unsafe_code)] // The safe interfaces have no name for what must be refused.
fn of_open_files_only_flags_copies_and_times_can_be_changed() {
    use std::os::fd::AsRawFd;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kept");
    fs::write(&path, "machine code").unwrap();
    let own = std::process::id() as libc::c_int;
    let (_, seccomp, (allowed, denied)) = confined(directory.path(), move || {
        let file = File::open(&path).unwrap();
        let fd = file.as_raw_fd();
        let command = |command, argument: libc::c_int| {
            // SAFETY: these commands take a number and change nothing but the open file's flags.
            match unsafe { libc::fcntl(fd, command, argument) } {
                -1 => kind::<()>(Err(io::Error::last_os_error())),
                _ => Ok(()),
            }
        };
        let by_path = rustix::fs::utimensat(
            rustix::fs::CWD,
            &path,
            &rustix::fs::Timestamps {
                last_access: rustix::fs::Timespec {
                    tv_sec: 1,
                    tv_nsec: 0,
                },
                last_modification: rustix::fs::Timespec {
                    tv_sec: 1,
                    tv_nsec: 0,
                },
            },
            rustix::fs::AtFlags::empty(),
        );
        let allowed = [
            command(libc::F_GETFD, 0),
            command(libc::F_SETFD, libc::FD_CLOEXEC),
            command(libc::F_GETFL, 0),
            kind(file.try_clone()),
            kind(file.set_modified(std::time::SystemTime::now())),
        ];
        let denied = [
            command(libc::F_SETOWN, own),
            command(F_SETSIG, libc::SIGKILL),
            command(libc::F_SETFL, libc::O_ASYNC),
            command(libc::F_SETLEASE, libc::F_RDLCK),
            command(libc::F_NOTIFY, 0),
            kind(by_path.map_err(Into::into)),
        ];
        (allowed, denied)
    });
    assert_eq!(seccomp, Guard::Full);
    assert_eq!(allowed, [Ok(()); 5]);
    assert_eq!(denied, [DENIED; 6]);
}

/// What the system says to calls that take a path, by their names.
#[allow(unsafe_code)] // The standard library has no name for most of them.
fn with_path(path: &std::ffi::CStr, new: &std::ffi::CStr) -> Vec<(&'static str, io::Result<()>)> {
    let (path, new) = (path.as_ptr(), new.as_ptr());
    let mut results = Vec::new();
    let mut said = |name, answer: libc::ssize_t| {
        let result = match answer {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        };
        results.push((name, result));
    };
    let mut buffer = [0_u8; 64];
    let bytes = buffer.as_mut_ptr();
    let (name, here) = (c"user.x".as_ptr(), libc::AT_FDCWD);
    // SAFETY: both paths and the name are strings that end with a zero byte; `buffer` has 64 bytes, and no call gets more. A null
    // pointer stands where the call takes one.
    unsafe {
        said("open to read", libc::open(path, libc::O_RDONLY) as _);
        said("open to write", libc::open(path, libc::O_WRONLY) as _);
        said(
            "make",
            libc::open(new, libc::O_CREAT | libc::O_RDWR, 0o600) as _,
        );
        said("truncate", libc::truncate(path, 0) as _);
        said(
            "set times",
            libc::utimensat(here, path, std::ptr::null(), 0) as _,
        );
        said(
            "set times, older",
            libc::utimes(path, std::ptr::null()) as _,
        );
        said("chmod", libc::chmod(path, 0o777) as _);
        said("chown", libc::lchown(path, 0, 0) as _);
        said("link", libc::link(path, new) as _);
        said("symlink", libc::symlink(path, new) as _);
        said("readlink", libc::readlink(path, bytes.cast(), 64));
        said("rename", libc::rename(path, new) as _);
        said("unlink", libc::unlink(path) as _);
        said("mkdir", libc::mkdir(new, 0o700) as _);
        said("mkfifo", libc::mkfifo(new, 0o600) as _);
        said("chdir", libc::chdir(path) as _);
        said("chroot", libc::chroot(path) as _);
        said("access", libc::access(path, libc::F_OK) as _);
        said(
            "setxattr",
            libc::setxattr(path, name, bytes.cast(), 1, 0) as _,
        );
        said("getxattr", libc::getxattr(path, name, bytes.cast(), 64));
        said("listxattr", libc::listxattr(path, bytes.cast(), 64));
        said("inotify", libc::inotify_init() as _);
        said(
            "execute",
            libc::execve(path, std::ptr::null(), std::ptr::null()) as _,
        );
    }
    results
}

/// What the kernel does not cover is written in `docs/programs.md`: a path can be looked at.
#[test]
fn a_path_outside_the_cache_can_be_looked_at_and_nothing_else() {
    use std::os::{fd::AsRawFd, unix::fs::OpenOptionsExt};
    let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let secret = outside.path().join("secret");
    fs::write(&secret, "key").unwrap();
    let c_path = |path: &Path| std::ffi::CString::new(path.to_str().unwrap()).unwrap();
    let (path, new) = (c_path(&secret), c_path(&outside.path().join("new")));
    let looked_at = secret.clone();
    let (landlock, _, (denied, seen, again)) = confined(inside.path(), move || {
        let denied = with_path(&path, &new);
        let length = fs::metadata(&looked_at).map(|metadata| metadata.len());
        // A file that is opened only to look at it can be neither read nor opened again.
        let looking = fs::OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_PATH)
            .open(&looked_at);
        let again = looking.map(|mut file| {
            let reopened = format!("/proc/self/fd/{}", file.as_raw_fd());
            let read = file.read(&mut [0; 3]).map_err(|error| error.kind());
            (read, kind(File::open(reopened)))
        });
        (denied, length, again)
    });
    if let Guard::Absent { why } = landlock {
        assert!(!why.is_empty());
        return;
    }
    for (call, result) in denied {
        assert_eq!(kind(result), DENIED, "{call}");
    }
    assert_eq!(seen.unwrap(), 3);
    let (read, reopened) = again.unwrap();
    assert!(read.is_err());
    assert_eq!(reopened, DENIED);
    assert_eq!(fs::read(&secret).unwrap(), b"key");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
}
