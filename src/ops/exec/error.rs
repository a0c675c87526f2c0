//! [`ExecError`]: what a look or a send failed with, as the executor passes it on.

use std::fmt;

use herder_aws::CallError;

/// Why AWS didn't do or say what was asked.
#[derive(Debug)]
pub(crate) enum ExecError {
    /// A call failed.
    Call(Box<CallError>),
    /// The listing of commands has no end within reach, so that what isn't in it may still be there.
    Endless {
        /// Pages that were read.
        pages: usize,
    },
    /// An output could not be taken over; says why.
    Output(String),
}

impl From<CallError> for ExecError {
    fn from(error: CallError) -> ExecError {
        ExecError::Call(Box::new(error))
    }
}

/// With what AWS said: warnings show no causes.
impl fmt::Display for ExecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExecError::Call(error) => f.write_str(&error.described()),
            ExecError::Output(why) => write!(f, "an output could not be kept: {why}"),
            ExecError::Endless { pages } => {
                write!(
                    f,
                    "ssm:ListCommands has more than {pages} pages of commands, and was not read to its end"
                )
            }
        }
    }
}
