#!/bin/bash
# Lets this instance's metadata show its tags. Needs ec2:ModifyInstanceMetadataOptions.
# Delete this hook if the account's default or the launch template does it, or if the AWS CLI is to read the tags.
set -eu
metadata=${AWS_EC2_METADATA_SERVICE_ENDPOINT:-http://169.254.169.254}/latest
token=$(curl -fsS -X PUT -H "X-aws-ec2-metadata-token-ttl-seconds: 60" "$metadata/api/token")
ask() {
    curl -fsS -H "X-aws-ec2-metadata-token: $token" "$metadata/meta-data/$1"
}
if ask tags/instance >/dev/null 2>&1; then
    exit 0 # they are shown already
fi
# A deployment doesn't fail for this: leader-only then asks the AWS CLI, or says why it can't find out.
aws ec2 modify-instance-metadata-options --region "$(ask placement/region)" --instance-id "$(ask instance-id)" \
    --instance-metadata-tags enabled ||
    echo "leader: this instance's metadata doesn't show tags" >&2
