//! A terminal of its own for a program under test: what it shows, and what is typed.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::Child;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use crate::harness::{BOUND, Sim};

/// A terminal with a herder on it.
pub(crate) struct Terminal {
    pub(crate) master: File,
    /// Keeps the settings readable when nobody else has it open.
    pub(crate) slave: OwnedFd,
    screen: Arc<Mutex<Vec<u8>>>,
    pub(crate) child: Child,
}

impl Terminal {
    pub(crate) fn start(sim: &Sim, words: &[&str]) -> Terminal {
        Terminal::with(sim.herder(words).on_terminal())
    }

    /// One on which a program runs.
    pub(crate) fn with(command: std::process::Command) -> Terminal {
        Terminal::sized(command, 100)
    }

    /// One of so many columns on which a program runs.
    pub(crate) fn sized(mut command: std::process::Command, columns: u16) -> Terminal {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let path = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let slave: OwnedFd = File::options().read(true).write(true).open(path).unwrap().into();
        let size = Winsize { ws_row: 30, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&slave, size).unwrap();
        for stream in 0..3 {
            let file = slave.try_clone().unwrap();
            match stream {
                0 => command.stdin(file),
                1 => command.stdout(file),
                _ => command.stderr(file),
            };
        }
        let child = command.spawn().unwrap();
        let master = File::from(master);
        let screen: Arc<Mutex<Vec<u8>>> = Arc::default();
        let (mut reader, shown) = (master.try_clone().unwrap(), Arc::clone(&screen));
        std::thread::spawn(move || {
            let mut block = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut block) {
                shown.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&block[..count]);
            }
        });
        Terminal { master, slave, screen, child }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.screen.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// Everything that was shown by the time the program has ended.
    pub(crate) fn all(mut self) -> String {
        let _ = self.ends();
        // What it wrote last may be on its way still; nothing is behind this.
        let mark = "\u{1}end\u{1}";
        let _ = rustix::io::write(&self.slave, mark.as_bytes());
        self.shows(mark);
        self.text().replace(mark, "").replace('\r', "")
    }

    pub(crate) fn types(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    #[track_caller]
    pub(crate) fn wait_until(&self, what: &str, is_so: impl Fn() -> bool) {
        let until = Instant::now() + BOUND;
        while !is_so() {
            assert!(Instant::now() < until, "never: {what}; on the screen:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[track_caller]
    pub(crate) fn shows(&self, text: &str) {
        self.wait_until(text, || self.text().contains(text));
    }

    pub(crate) fn is_raw(&self) -> bool {
        !tcgetattr(&self.slave).unwrap().local_modes.contains(LocalModes::ICANON)
    }

    pub(crate) fn resize(&self, columns: u16, rows: u16) {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.master, size).unwrap();
    }

    /// Waits for its end; gives the exit code. The terminal is as it was.
    #[track_caller]
    pub(crate) fn ends(&mut self) -> Option<i32> {
        let until = Instant::now() + BOUND;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                assert!(!self.is_raw(), "the terminal is left raw");
                let modes = tcgetattr(&self.slave).unwrap().local_modes;
                assert!(modes.contains(LocalModes::ECHO | LocalModes::ISIG), "{modes:?}");
                return status.code();
            }
            assert!(Instant::now() < until, "it does not end; on the screen:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
