//! The words a fleet is made of: roles, environments, teams, images, kernels.

/// Roles in the order in which small fleets get them; larger ones start over.
pub(crate) const ROLES: [&str; 20] = [
    "web", "web", "api", "db", "worker", "web", "api", "worker", "cache", "worker", "web", "api", "web",
    "worker", "bastion", "web", "api", "worker", "queue", "web",
];

/// The team that looks after a role.
pub(crate) fn team(role: &str) -> &'static str {
    match role {
        "web" => "storefront",
        "api" => "platform",
        "db" | "cache" => "data",
        "worker" | "queue" => "fulfilment",
        _ => "infra",
    }
}

/// The instance type of a role.
pub(crate) fn instance_type(role: &str) -> &'static str {
    match role {
        "web" => "m6i.large",
        "api" => "c6i.large",
        "db" => "r6i.2xlarge",
        "worker" => "c6i.xlarge",
        "cache" => "r6g.large",
        "queue" => "m6i.xlarge",
        _ => "t3.micro",
    }
}

/// An operating system, with what the services and its own commands say about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Platform {
    AmazonLinux,
    Ubuntu,
    Windows,
}

impl Platform {
    /// As `PlatformType`.
    pub(crate) fn kind(self) -> &'static str {
        if self == Platform::Windows { "Windows" } else { "Linux" }
    }

    /// As `PlatformName`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Platform::AmazonLinux => "Amazon Linux",
            Platform::Ubuntu => "Ubuntu",
            Platform::Windows => "Microsoft Windows Server 2022 Datacenter",
        }
    }

    /// As `PlatformVersion`.
    pub(crate) fn version(self) -> &'static str {
        match self {
            Platform::AmazonLinux => "2023",
            Platform::Ubuntu => "24.04",
            Platform::Windows => "10.0.20348",
        }
    }

    /// As EC2's `platformDetails`.
    pub(crate) fn details(self) -> &'static str {
        if self == Platform::Windows { "Windows" } else { "Linux/UNIX" }
    }

    pub(crate) fn image(self) -> &'static str {
        match self {
            Platform::AmazonLinux => "ami-0a1f3c5d7e9b2a4c6",
            Platform::Ubuntu => "ami-0b2e4d6f8a1c3e5d7",
            Platform::Windows => "ami-0c3f5e7d9b1a2c4e6",
        }
    }

    pub(crate) fn kernel(self) -> &'static str {
        match self {
            Platform::AmazonLinux => "6.1.141-155.222.amzn2023.x86_64",
            Platform::Ubuntu => "6.8.0-1029-aws",
            Platform::Windows => "10.0.20348.3807",
        }
    }

    /// A kernel from before the last patch day, found on a few nodes.
    pub(crate) fn old_kernel(self) -> &'static str {
        match self {
            Platform::AmazonLinux => "6.1.132-147.221.amzn2023.x86_64",
            Platform::Ubuntu => "6.8.0-1021-aws",
            Platform::Windows => "10.0.20348.3453",
        }
    }
}

/// The agent's current version, and older ones.
pub(crate) const AGENTS: [&str; 4] = ["3.3.2299.0", "3.3.1611.0", "3.2.2303.0", "3.1.1732.0"];
