//! What ordinary programs print: a table of plausible outputs that differ from node to node as real ones do.

use super::machine::Identity;
use super::process::Process;
use crate::clock::At;
use crate::fleet::names::Platform;
use crate::fleet::node::Node;

/// What a program printed.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) out: String,
    pub(super) err: String,
    pub(super) code: i32,
    pub(super) is_slow: bool,
}

/// Somebody who looks at the table.
pub(super) struct Asker<'a> {
    identity: &'a Identity,
    user: &'a str,
    now: At,
    answer: Answer,
}

impl Asker<'_> {
    fn print(&mut self, text: &str) {
        self.answer.out.push_str(text);
    }

    fn complain(&mut self, line: &str) {
        self.answer.err.push_str(line);
        self.answer.err.push('\n');
    }

    fn up_seconds(&self) -> i64 {
        up_seconds(self.identity, self.now)
    }

    fn load(&self) -> String {
        load(self.identity)
    }
}

fn up_seconds(identity: &Identity, now: At) -> i64 {
    now.seconds_since(identity.node.launched()).max(60.0) as i64
}

fn load(identity: &Identity) -> String {
    let mut draw = identity.draw.text("load");
    format!("0.{:02}", draw.below(40))
}

/// What is in a file that every node has.
pub(super) fn file(path: &str, identity: &Identity) -> Option<String> {
    let node = &identity.node;
    Some(match path {
        "/etc/os-release" => os_release(node.platform),
        "/etc/hostname" => format!("{}\n", node.computer_name()),
        "/etc/hosts" => "127.0.0.1   localhost localhost.localdomain\n::1         localhost6\n".to_owned(),
        "/etc/passwd" => {
            "root:x:0:0:root:/root:/bin/bash\nec2-user:x:1000:1000::/home/ec2-user:/bin/bash\nssm-user:x:1001:1001::/home/ssm-user:/bin/sh\n".to_owned()
        }
        "/etc/shadow" => "root:*:20000:0:99999:7:::\nec2-user:!!:20000:0:99999:7:::\nssm-user:!!:20000:0:99999:7:::\n".to_owned(),
        "/proc/uptime" => {
            let up = up_seconds(identity, identity.at);
            format!("{up}.42 {}.17\n", up * 2)
        }
        "/proc/loadavg" => format!("{} 0.08 0.05 1/142 4242\n", load(identity)),
        "/proc/meminfo" => {
            "MemTotal:        7893412 kB\nMemFree:         5120332 kB\nMemAvailable:    6712040 kB\n".to_owned()
        }
        "/proc/version" => format!("Linux version {} (gcc 11.5.0) #1 SMP PREEMPT_DYNAMIC\n", node.kernel),
        "/var/log/messages" | "/var/log/cloud-init.log" | "/var/log/secure" => {
            format!("{} {} systemd[1]: Started {}.\n", identity.at.format("%b %d %H:%M:%S"), node.computer_name(), main_service(node))
        }
        _ => return None,
    })
}

/// Programs that are in the table.
pub(super) const NAMES: [&str; 65] = [
    "apt",
    "apt-get",
    "apt-cache",
    "arch",
    "curl",
    "date",
    "df",
    "dnf",
    "docker",
    "dpkg",
    "dpkg-query",
    "free",
    "getent",
    "hostname",
    "hostnamectl",
    "ifconfig",
    "iostat",
    "ip",
    "java",
    "journalctl",
    "kill",
    "killall",
    "last",
    "logger",
    "logname",
    "lsblk",
    "lscpu",
    "mount",
    "netstat",
    "nginx",
    "node",
    "nproc",
    "openssl",
    "pgrep",
    "pidof",
    "pkill",
    "podman",
    "ps",
    "python3",
    "reboot",
    "rpm",
    "service",
    "shutdown",
    "ss",
    "sync",
    "sysctl",
    "systemctl",
    "timedatectl",
    "top",
    "uname",
    "uptime",
    "vmstat",
    "w",
    "wget",
    "who",
    "whoami",
    "yum",
    "amazon-ssm-agent",
    "chronyc",
    "clear",
    "less",
    "more",
    "tput",
    "reset",
    "vi",
];

/// What a program prints; `None` for programs that a node does not have.
pub(super) fn answer(name: &str, words: &[&str], process: &Process) -> Option<Answer> {
    let identity = &process.machine.identity;
    let mut asker =
        Asker { identity, user: &process.user, now: process.machine.now(), answer: Answer::default() };
    let shell = &mut asker;
    let code = system(name, words, shell)
        .or_else(|| identity_of(name, words, shell))
        .or_else(|| resources(name, words, shell))
        .or_else(|| services(name, words, shell))
        .or_else(|| packages(name, words, shell))
        .or_else(|| matches!(name, "mount" | "clear" | "reset" | "tput").then_some(0))?;
    asker.answer.code = code;
    Some(asker.answer)
}

fn system(name: &str, words: &[&str], shell: &mut Asker<'_>) -> Option<i32> {
    let node = &shell.identity.node;
    let at = shell.now;
    let text = match name {
        "uptime" => {
            let up = shell.up_seconds();
            let (days, hours, minutes) = (up / 86_400, up / 3600 % 24, up / 60 % 60);
            if words.contains(&"-p") {
                format!("up {days} days, {hours} hours, {minutes} minutes\n")
            } else {
                let load = shell.load();
                format!(
                    " {} up {days} days, {hours:2}:{minutes:02},  0 users,  load average: {load}, 0.08, 0.05\n",
                    at.format("%H:%M:%S")
                )
            }
        }
        "hostname" => {
            let full = node.computer_name();
            let short = full.split('.').next().unwrap_or(&full).to_owned();
            match words.first() {
                Some(&("-f" | "--fqdn")) => format!("{full}\n"),
                Some(&("-I" | "-i")) => format!("{} \n", node.private_ip),
                Some(_) => format!("{short}\n"),
                None => format!("{full}\n"),
            }
        }
        "uname" => {
            let short = node.computer_name();
            match words.first() {
                Some(&"-r") => format!("{}\n", node.kernel),
                Some(&"-m") => "x86_64\n".to_owned(),
                Some(&"-n") => format!("{short}\n"),
                Some(&"-a") => {
                    format!("Linux {short} {} #1 SMP PREEMPT_DYNAMIC x86_64 GNU/Linux\n", node.kernel)
                }
                Some(_) | None => "Linux\n".to_owned(),
            }
        }
        "date" => match words.iter().find_map(|word| word.strip_prefix('+')) {
            Some(pattern) => format!("{}\n", at.format(&pattern.replace("%N", "000000000"))),
            None if words.iter().any(|word| word.starts_with("-I")) => format!("{}\n", at.format("%Y-%m-%d")),
            None => format!("{}\n", at.format("%a %b %e %H:%M:%S UTC %Y")),
        },
        _ => return None,
    };
    shell.print(&text);
    Some(0)
}

fn identity_of(name: &str, words: &[&str], shell: &mut Asker<'_>) -> Option<i32> {
    let node = &shell.identity.node;
    let text = match name {
        "whoami" | "logname" => format!("{}\n", shell.user),
        "arch" => "x86_64\n".to_owned(),
        "hostnamectl" => format!(
            " Static hostname: {}\nOperating System: {} {}\n          Kernel: Linux {}\n    Architecture: x86-64\n",
            node.computer_name(),
            node.platform.name(),
            node.platform.version(),
            node.kernel
        ),
        "getent" => "root:x:0:0:root:/root:/bin/bash\n".to_owned(),
        "timedatectl" => "System clock synchronized: yes\n              NTP service: active\n".to_owned(),
        "w" | "who" | "last" => String::new(),
        "sysctl" => format!("{} = 1\n", words.last().unwrap_or(&"vm.swappiness")),
        "sync" | "logger" | "reboot" | "shutdown" => String::new(),
        _ => return None,
    };
    shell.print(&text);
    Some(0)
}

fn resources(name: &str, words: &[&str], shell: &mut Asker<'_>) -> Option<i32> {
    let node = &shell.identity.node;
    let mut draw = shell.identity.draw.text("disk").text(&node.id);
    let used = 20 + draw.below(55);
    let text = match name {
        "df" => format!(
            "Filesystem      Size  Used Avail Use% Mounted on\ndevtmpfs        4.0M     0  4.0M   0% /dev\ntmpfs           3.8G     0  3.8G   0% /dev/shm\n/dev/nvme0n1p1   80G  {:>3}G  {:>3}G  {used}% /\n",
            used * 8 / 10, 80 - used * 8 / 10
        ),
        "free" => format!(
            "               total        used        free      shared  buff/cache   available\nMem:            7708        {:>4}        5000           0        {:>4}        6554\nSwap:              0           0           0\n",
            900 + used * 4, 800 + used
        ),
        "nproc" => format!("{}\n", cores(node)),
        "lscpu" => format!("Architecture:             x86_64\nCPU(s):                   {}\n", cores(node)),
        "lsblk" => "NAME          MAJ:MIN RM SIZE RO TYPE MOUNTPOINTS\nnvme0n1       259:0    0  80G  0 disk \n└─nvme0n1p1   259:1    0  80G  0 part /\n".to_owned(),
        "ip" | "ifconfig" => format!(
            "1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 state UNKNOWN\n    inet 127.0.0.1/8 scope host lo\n2: ens5: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 9001 state UP\n    inet {}/20 scope global dynamic ens5\n",
            node.private_ip
        ),
        "ss" | "netstat" => "State  Recv-Q Send-Q Local Address:Port Peer Address:Port\nLISTEN 0      128          0.0.0.0:22        0.0.0.0:*\nLISTEN 0      511          0.0.0.0:80        0.0.0.0:*\n".to_owned(),
        "ps" => {
            let columns = if words.is_empty() { "    PID TTY          TIME CMD\n   4242 ?        00:00:00 sh\n" } else {
                "USER         PID %CPU %MEM COMMAND\nroot           1  0.0  0.1 /usr/lib/systemd/systemd\nroot        1412  0.1  0.3 /usr/bin/amazon-ssm-agent\n"
            };
            let extra = if words.is_empty() { String::new() } else { format!("{:<8}    2017  0.4  1.2 {}\n", "app", main_service(node)) };
            format!("{columns}{extra}")
        }
        "top" | "vmstat" | "iostat" => format!("procs memory swap io system cpu\n 1  0 {used}\n"),
        "du" => format!("{}M\t{}\n", 100 + used, words.last().unwrap_or(&".")),
        "nvidia-smi" => return None,
        _ => return None,
    };
    shell.print(&text);
    Some(0)
}

fn cores(node: &Node) -> u32 {
    if node.instance_type.ends_with("2xlarge") {
        8
    } else if node.instance_type.ends_with("xlarge") {
        4
    } else {
        2
    }
}

/// The service that a role is there for.
fn main_service(node: &Node) -> &'static str {
    match node.role {
        "web" => "nginx",
        "api" => "api-server",
        "db" => "postgres",
        "cache" => "redis-server",
        "worker" | "queue" => "worker",
        _ => "sshd",
    }
}

fn services(name: &str, words: &[&str], shell: &mut Asker<'_>) -> Option<i32> {
    let node = &shell.identity.node;
    let unit = words.iter().rev().find(|word| !word.starts_with('-')).copied().unwrap_or_default();
    let unit = unit.trim_end_matches(".service");
    let known = [
        main_service(node),
        "sshd",
        "ssh",
        "amazon-ssm-agent",
        "crond",
        "chronyd",
        "docker",
        "cloudwatch-agent",
    ]
    .contains(&unit);
    match (name, words.iter().find(|word| !word.starts_with('-')).copied()) {
        ("systemctl" | "service", Some(_)) => systemctl(words, (unit, known), shell),
        ("journalctl", _) => {
            let stamp = shell.now.format("%b %d %H:%M:%S");
            shell.print(&format!(
                "{stamp} {} systemd[1]: Started {}.\n",
                node.computer_name(),
                main_service(node)
            ));
            Some(0)
        }
        ("docker" | "podman", Some("ps")) => {
            shell.print("CONTAINER ID   IMAGE          COMMAND   STATUS       NAMES\n");
            if matches!(node.role, "api" | "worker") {
                shell.print(&format!(
                    "{}   app:2026.5.1   \"app\"     Up 2 days    app\n",
                    &shell.identity.draw.text(&node.id).hex(12)
                ));
            }
            Some(0)
        }
        ("docker" | "podman", Some(_)) => {
            shell.answer.is_slow = true;
            Some(0)
        }
        ("curl" | "wget", _) => {
            shell.print("{\"status\":\"ok\"}");
            Some(0)
        }
        ("nginx", _) if node.role == "web" => Some(nginx(words, shell)),
        ("pgrep" | "pidof", _) => {
            if known {
                shell.print("2017\n");
            }
            Some(i32::from(!known))
        }
        ("kill" | "pkill" | "killall", _) => Some(0),
        _ => None,
    }
}

fn nginx(words: &[&str], shell: &mut Asker<'_>) -> i32 {
    if words.contains(&"-v") {
        shell.complain("nginx version: nginx/1.26.3");
    } else {
        shell.complain("nginx: the configuration file /etc/nginx/nginx.conf syntax is ok");
        shell.complain("nginx: configuration file /etc/nginx/nginx.conf test is successful");
    }
    0
}

fn systemctl(words: &[&str], (unit, known): (&str, bool), shell: &mut Asker<'_>) -> Option<i32> {
    match words.iter().find(|word| !word.starts_with('-')).copied()? {
        "is-active" | "is-enabled" => {
            let verb = if words.contains(&"is-enabled") { "enabled" } else { "active" };
            let quiet = words.iter().any(|word| *word == "-q" || *word == "--quiet");
            if !quiet {
                shell.print(&format!("{}\n", if known { verb } else { "inactive" }));
            }
            Some(if known { 0 } else { 3 })
        }
        "status" => {
            if !known {
                shell.complain(&format!("Unit {unit}.service could not be found."));
                return Some(4);
            }
            shell.print(&format!("● {unit}.service - {unit}\n     Loaded: loaded (/usr/lib/systemd/system/{unit}.service; enabled)\n     Active: active (running)\n"));
            Some(0)
        }
        verb => {
            shell.answer.is_slow = true;
            if known || verb == "daemon-reload" || verb == "list-units" {
                return Some(0);
            }
            shell.complain(&format!("Failed to {verb} {unit}.service: Unit {unit}.service not found."));
            Some(5)
        }
    }
}

fn packages(name: &str, words: &[&str], shell: &mut Asker<'_>) -> Option<i32> {
    let node = &shell.identity.node;
    let ubuntu = node.platform == Platform::Ubuntu;
    let package = words.last().copied().unwrap_or_default();
    match name {
        "rpm" | "dpkg" | "dpkg-query" | "apt-cache" if (name == "rpm") == ubuntu => None,
        "rpm" => {
            let version = package_version(node, package);
            shell.print(&format!("{package}-{version}.x86_64\n"));
            Some(0)
        }
        "dpkg" | "dpkg-query" | "apt-cache" => {
            let version = package_version(node, package);
            shell.print(&format!("ii  {package}  {version}  amd64\n"));
            Some(0)
        }
        "yum" | "dnf" if !ubuntu => {
            shell.answer.is_slow = true;
            shell.print("Last metadata expiration check: 0:12:08 ago.\nDependencies resolved.\nNothing to do.\nComplete!\n");
            Some(0)
        }
        "apt" | "apt-get" if ubuntu => {
            shell.answer.is_slow = true;
            shell.print("Reading package lists...\nBuilding dependency tree...\n0 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.\n");
            Some(0)
        }
        "python3" | "node" | "java" | "openssl"
            if words.iter().any(|word| word.contains("version") || *word == "-V" || *word == "-v") =>
        {
            let version = match name {
                "python3" => "Python 3.11.9\n",
                "node" => "v20.18.1\n",
                "java" => "openjdk 21.0.5 2024-10-15 LTS\n",
                _ => "OpenSSL 3.2.2 4 Jun 2024\n",
            };
            shell.print(version);
            Some(0)
        }
        "bash-version" => None,
        _ => None,
    }
}

fn package_version(node: &Node, package: &str) -> String {
    let old = node.kernel == node.platform.old_kernel();
    let mut draw = crate::draw::Draw::new(11).text(package);
    let (major, minor) = (1 + draw.below(8), draw.below(30));
    format!("{major}.{minor}.{}-1", if old { 0 } else { 2 })
}

fn os_release(platform: Platform) -> String {
    match platform {
        Platform::AmazonLinux => "NAME=\"Amazon Linux\"\nVERSION=\"2023\"\nID=\"amzn\"\nID_LIKE=\"fedora\"\nVERSION_ID=\"2023\"\nPRETTY_NAME=\"Amazon Linux 2023.7.20250623\"\n".to_owned(),
        Platform::Ubuntu => "PRETTY_NAME=\"Ubuntu 24.04.2 LTS\"\nNAME=\"Ubuntu\"\nVERSION_ID=\"24.04\"\nVERSION=\"24.04.2 LTS (Noble Numbat)\"\nID=ubuntu\nID_LIKE=debian\n".to_owned(),
        Platform::Windows => String::new(),
    }
}
