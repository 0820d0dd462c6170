//! The parts of AWS that have accounts, and ARNs, of their own.

use std::fmt::Display;

/// A partition of AWS.
#[derive(Debug, Clone, Copy, Default)]
pub enum Partition {
    /// All of AWS that is not in another.
    #[default]
    Aws,
    /// China.
    AwsCn,
    /// GovCloud (US).
    AwsUsGov,
}

impl Partition {
    /// The one that an endpoint belongs to.
    pub fn of(endpoint: &str) -> Self {
        if endpoint.ends_with(".amazonaws.com.cn") {
            Self::AwsCn
        } else if endpoint.contains(".us-gov-") {
            Self::AwsUsGov
        } else {
            Self::Aws
        }
    }

    /// The ARN of something in AWS IoT, as one would write it into a policy.
    pub(super) fn arn(self, resource: impl Display) -> String {
        let partition = match self {
            Self::Aws => "aws",
            Self::AwsCn => "aws-cn",
            Self::AwsUsGov => "aws-us-gov",
        };
        format!("arn:{partition}:iot:REGION:ACCOUNT:{resource}")
    }
}
