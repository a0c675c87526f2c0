//! What ordinary programs print: a table of plausible outputs that differ from node to node as real ones do.

use super::eval::Shell;
use crate::fleet::names::Platform;
use crate::fleet::node::Node;

impl Shell<'_> {
    /// A file that every node has, or that the script wrote.
    pub(super) fn file(&self, path: &str) -> Option<Vec<u8>> {
        if let Some(content) = self.files.get(path) {
            return Some(content.clone());
        }
        let node = self.around.node;
        let text = match path {
            "/dev/null" => String::new(),
            "/etc/os-release" => os_release(node.platform),
            "/etc/hostname" => format!("{}\n", node.computer_name()),
            "/etc/hosts" => {
                "127.0.0.1   localhost localhost.localdomain\n::1         localhost6\n".to_owned()
            }
            "/etc/passwd" => {
                "root:x:0:0:root:/root:/bin/bash\nec2-user:x:1000:1000::/home/ec2-user:/bin/bash\n".to_owned()
            }
            "/proc/uptime" => format!("{}.42 {}.17\n", self.up_seconds(), self.up_seconds() * 2),
            "/proc/loadavg" => format!("{} 0.08 0.05 1/142 4242\n", self.load()),
            "/proc/meminfo" => {
                "MemTotal:        7893412 kB\nMemFree:         5120332 kB\nMemAvailable:    6712040 kB\n"
                    .to_owned()
            }
            "/proc/version" => format!("Linux version {} (gcc 11.5.0) #1 SMP PREEMPT_DYNAMIC\n", node.kernel),
            _ => return None,
        };
        Some(text.into_bytes())
    }

    fn up_seconds(&self) -> i64 {
        self.around.at.seconds_since(self.around.node.launched()).max(60.0) as i64
    }

    fn load(&self) -> String {
        let mut draw = self.around.draw.text("load");
        format!("0.{:02}", draw.below(40))
    }
}

/// Prints what a program prints; `None` for programs that a node does not have.
pub(super) fn answer(name: &str, arguments: &[String], shell: &mut Shell<'_>) -> Option<i32> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    system(name, &words, shell)
        .or_else(|| identity(name, &words, shell))
        .or_else(|| resources(name, &words, shell))
        .or_else(|| services(name, &words, shell))
        .or_else(|| packages(name, &words, shell))
        .or_else(|| files(name, &words, shell))
}

fn system(name: &str, words: &[&str], shell: &mut Shell<'_>) -> Option<i32> {
    let node = shell.around.node;
    let at = shell.around.at;
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

fn identity(name: &str, words: &[&str], shell: &mut Shell<'_>) -> Option<i32> {
    let node = shell.around.node;
    let text = match name {
        "whoami" | "logname" => format!("{}\n", shell.user),
        "id" => match (words.first(), shell.user.as_str()) {
            (Some(&"-u"), "root") => "0\n".to_owned(),
            (Some(&"-u"), _) => "1000\n".to_owned(),
            (Some(&"-un"), user) => format!("{user}\n"),
            (_, "root") => "uid=0(root) gid=0(root) groups=0(root)\n".to_owned(),
            (_, user) => format!("uid=1000({user}) gid=1000({user}) groups=1000({user})\n"),
        },
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

fn resources(name: &str, words: &[&str], shell: &mut Shell<'_>) -> Option<i32> {
    let node = shell.around.node;
    let mut draw = shell.around.draw.text("disk").text(&node.id);
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

fn services(name: &str, words: &[&str], shell: &mut Shell<'_>) -> Option<i32> {
    let node = shell.around.node;
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
            let stamp = shell.around.at.format("%b %d %H:%M:%S");
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
                    &shell.around.draw.text(&node.id).hex(12)
                ));
            }
            Some(0)
        }
        ("docker" | "podman", Some(_)) => {
            shell.is_slow = true;
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

fn nginx(words: &[&str], shell: &mut Shell<'_>) -> i32 {
    if words.contains(&"-v") {
        shell.complain("nginx version: nginx/1.26.3");
    } else {
        shell.complain("nginx: the configuration file /etc/nginx/nginx.conf syntax is ok");
        shell.complain("nginx: configuration file /etc/nginx/nginx.conf test is successful");
    }
    0
}

fn systemctl(words: &[&str], (unit, known): (&str, bool), shell: &mut Shell<'_>) -> Option<i32> {
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
            shell.is_slow = true;
            if known || verb == "daemon-reload" || verb == "list-units" {
                return Some(0);
            }
            shell.complain(&format!("Failed to {verb} {unit}.service: Unit {unit}.service not found."));
            Some(5)
        }
    }
}

fn packages(name: &str, words: &[&str], shell: &mut Shell<'_>) -> Option<i32> {
    let node = shell.around.node;
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
            shell.is_slow = true;
            shell.print("Last metadata expiration check: 0:12:08 ago.\nDependencies resolved.\nNothing to do.\nComplete!\n");
            Some(0)
        }
        "apt" | "apt-get" if ubuntu => {
            shell.is_slow = true;
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

fn files(name: &str, words: &[&str], shell: &mut Shell<'_>) -> Option<i32> {
    let paths: Vec<&str> = words.iter().copied().filter(|word| !word.starts_with('-')).collect();
    match name {
        "ls" => Some(list(paths.first().copied().unwrap_or("/usr/bin"), shell)),
        "rm" | "mkdir" | "touch" | "chmod" | "chown" | "mv" | "cp" | "ln" | "install" | "mount"
        | "truncate" => {
            if name == "touch" {
                for path in paths {
                    shell.files.entry(path.to_owned()).or_default();
                }
            }
            Some(0)
        }
        "mktemp" => {
            let path = format!("/tmp/tmp.{}", shell.around.draw.text("mktemp").hex(10));
            shell.files.insert(path.clone(), Vec::new());
            shell.print(&format!("{path}\n"));
            Some(0)
        }
        "which" | "type" => {
            let found = paths.first().copied().unwrap_or_default();
            let has =
                ["sh", "bash", "cat", "ls", "curl", "python3", "systemctl", "uptime", "df", "gzip", "base64"]
                    .contains(&found);
            if has {
                shell.print(&format!("/usr/bin/{found}\n"));
            }
            Some(i32::from(!has))
        }
        "md5sum" | "sha256sum" => {
            let path = paths.first().copied().unwrap_or("-");
            let digest = crate::draw::Draw::new(5).text(path).hex(if name == "md5sum" { 32 } else { 64 });
            shell.print(&format!("{digest}  {path}\n"));
            Some(0)
        }
        "find" | "stat" | "readlink" | "basename" | "dirname" => {
            shell.print(&format!("{}\n", paths.first().copied().unwrap_or(".")));
            Some(0)
        }
        _ => None,
    }
}

fn list(path: &str, shell: &mut Shell<'_>) -> i32 {
    let listing = match path {
        "/" => "bin\nboot\ndev\netc\nhome\nlib\nopt\nproc\nroot\nrun\nsrv\nsys\ntmp\nusr\nvar\n",
        "/tmp" | "/root" => "",
        "/var/log" => "amazon\nbtmp\ncloud-init.log\njournal\nlastlog\nmessages\nsecure\n",
        "/etc" => "hostname\nhosts\nos-release\npasswd\nssh\nsystemd\n",
        "/usr/bin" => "amazon-ssm-agent\nbash\ncat\nls\nsh\n",
        other if shell.file(other).is_some() => {
            let line = format!("{other}\n");
            shell.print(&line);
            return 0;
        }
        other => {
            shell.complain(&format!("ls: cannot access '{other}': No such file or directory"));
            return 2;
        }
    };
    shell.print(listing);
    0
}

fn os_release(platform: Platform) -> String {
    match platform {
        Platform::AmazonLinux => "NAME=\"Amazon Linux\"\nVERSION=\"2023\"\nID=\"amzn\"\nID_LIKE=\"fedora\"\nVERSION_ID=\"2023\"\nPRETTY_NAME=\"Amazon Linux 2023.7.20250623\"\n".to_owned(),
        Platform::Ubuntu => "PRETTY_NAME=\"Ubuntu 24.04.2 LTS\"\nNAME=\"Ubuntu\"\nVERSION_ID=\"24.04\"\nVERSION=\"24.04.2 LTS (Noble Numbat)\"\nID=ubuntu\nID_LIKE=debian\n".to_owned(),
        Platform::Windows => String::new(),
    }
}
