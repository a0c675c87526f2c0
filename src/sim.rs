//! The simulator in this process, behind `--sim`.

use herder_aws::FixedEndpoint;

use crate::failure::Failure;

/// A simulated AWS that lives as long as the command.
#[cfg(feature = "sim")]
pub(crate) struct InProcess {
    server: herder_sim::Server,
    name: String,
}

#[cfg(feature = "sim")]
impl InProcess {
    /// Starts it.
    ///
    /// # Errors
    /// The specification doesn't parse, or no port can be had.
    pub(crate) async fn start(spec: &str) -> Result<InProcess, Failure> {
        let parsed = parse(spec)?;
        let server = herder_sim::serve(parsed, herder_sim::ServeOptions { port: 0, tls: false })
            .await
            .map_err(|error| Failure::usage("the simulator could not start").caused_by(&error))?;
        Ok(InProcess { server, name: format!("sim:{spec}") })
    }

    /// How herder reaches it.
    pub(crate) fn endpoint(&self) -> FixedEndpoint {
        FixedEndpoint {
            url: self.server.endpoint().to_owned(),
            region: self.server.region().to_owned(),
            access_key: self.server.access_key().to_owned(),
            secret_key: self.server.secret_key().to_owned(),
            account: self.server.account().to_owned(),
            ca_pem: self.server.ca_pem().map(|pem| pem.as_bytes().to_vec()),
        }
    }

    /// What it is called in journals: equal specifications make equal fleets.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

/// Reads a specification; files in it are relative to the working directory.
#[cfg(feature = "sim")]
pub(crate) fn parse(spec: &str) -> Result<herder_sim::Spec, Failure> {
    herder_sim::Spec::read(spec, std::path::Path::new("")).map_err(|error| {
        Failure::usage(format!("--sim={spec} is not a simulator")).caused_by(&error).hint(
            "Give a number of nodes, @scenario.toml, or key=value,… such as nodes=200,offline=5%,throttle=0.05.",
        )
    })
}

#[cfg(not(feature = "sim"))]
pub(crate) struct InProcess(std::convert::Infallible);

#[cfg(not(feature = "sim"))]
impl InProcess {
    pub(crate) async fn start(_: &str) -> Result<InProcess, Failure> {
        Err(Failure::usage("this herder was built without its simulator"))
    }

    pub(crate) fn endpoint(&self) -> FixedEndpoint {
        match self.0 {}
    }

    pub(crate) fn name(&self) -> &str {
        match self.0 {}
    }
}

impl std::fmt::Debug for InProcess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InProcess").field("name", &self.name()).finish_non_exhaustive()
    }
}
