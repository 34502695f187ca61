//! STS: who is calling. It owns no key space: the account is in the access key.

use crate::call::Call;
use crate::failure::Failure;
use crate::service::Service;
use cumulog_engine::View;
use cumulog_model::sts::{self as model, GetCallerIdentityInput, GetCallerIdentityOutput};

/// The service and its handlers.
pub(crate) fn service() -> Service {
    Service::new(&model::SERVICE).read::<model::GetCallerIdentity, Failure>(get_caller_identity)
}

/// Every caller is the root user of its account; that user's id is the account's.
fn get_caller_identity(
    call: &Call,
    _: &View,
    _: GetCallerIdentityInput,
) -> Result<GetCallerIdentityOutput, Failure> {
    let account = call.account.to_string();
    Ok(GetCallerIdentityOutput {
        arn: Some(format!("arn:aws:iam::{account}:root")),
        user_id: Some(account.clone()),
        account: Some(account),
    })
}
