//! Stored checksums as the members of outputs.

/// Sets the members for a stored checksum. By name, as many outputs have them.
macro_rules! set_checksum {
    ($output:expr, $checksum:expr) => {
        if let Some(checksum) = &$checksum {
            $crate::services::s3::checksums::set_checksum_value!($output, checksum);
            $output.checksum_type = Some(checksum.shown_type());
        }
    };
}
pub(super) use set_checksum;

/// Sets the member for a checksum's value, in outputs without a checksum type.
macro_rules! set_checksum_value {
    ($output:expr, $checksum:expr) => {{
        use $crate::checksum::Algorithm;
        let checksum = &$checksum;
        let value = Some(checksum.value.clone());
        match checksum.algorithm() {
            Some(Algorithm::Crc32) => $output.checksum_crc32 = value,
            Some(Algorithm::Crc32c) => $output.checksum_crc32_c = value,
            Some(Algorithm::Crc64Nvme) => $output.checksum_crc64_nvme = value,
            Some(Algorithm::Sha1) => $output.checksum_sha1 = value,
            Some(Algorithm::Sha256) => $output.checksum_sha256 = value,
            Some(Algorithm::Sha512) => $output.checksum_sha512 = value,
            Some(Algorithm::Md5) => $output.checksum_md5 = value,
            Some(Algorithm::XxHash64) => $output.checksum_xxhash64 = value,
            Some(Algorithm::XxHash3) => $output.checksum_xxhash3 = value,
            Some(Algorithm::XxHash128) => $output.checksum_xxhash128 = value,
            None => {}
        }
    }};
}
pub(super) use set_checksum_value;
