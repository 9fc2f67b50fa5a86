// What AWS's answers hold beside what an election reads, taken from the samples in AWS's API references: it makes the HTTP
// stand-in's answers as long, and as slow to read, as the genuine ones.

const account = "123456789012";
const launchTemplate = { LaunchTemplateId: "lt-0a4872e2c396d941c", LaunchTemplateName: "shop", Version: "7" };
const securityGroups = [{ GroupId: "sg-e4076980", GroupName: "shop" }];
const attached = { Status: "attached", AttachTime: "2026-05-08T16:46:19.000Z", DeleteOnTermination: true };
const passed = { Status: "ok", Details: [{ Name: "reachability", Status: "passed" }] };

const network = { SubnetId: "subnet-56f5f633", VpcId: "vpc-11112222", SourceDestCheck: true };
const privateAddress = { PrivateIpAddress: "192.168.1.88", PrivateDnsName: "ip-192-168-1-88.ec2.internal" };
const publicDns = { PublicDnsName: "ec2-54-194-252-215.compute-1.amazonaws.com" };
const association = { PublicIp: "54.194.252.215", IpOwnerId: "amazon", ...publicDns };

const zone = { AvailabilityZone: "us-east-1a" };
const member = { ...zone, InstanceType: "t4g.small", LaunchTemplate: launchTemplate };

const networkInterface = {
    NetworkInterfaceId: "eni-551ba033",
    ...network,
    Description: "",
    OwnerId: account,
    Status: "in-use",
    MacAddress: "02:dd:2c:5e:01:69",
    ...privateAddress,
    Groups: securityGroups,
    Attachment: { AttachmentId: "eni-attach-39697adc", DeviceIndex: 0, NetworkCardIndex: 0, ...attached },
    Association: association,
    PrivateIpAddresses: [{ ...privateAddress, Primary: true, Association: association }],
    Ipv6Addresses: [],
    InterfaceType: "interface",
};

/** Fields beside those that the region gives, by where they are: `.Reservations.Instances` are an instance's. */
export const extraFields: Record<string, object> = {
    ".Reservations": { ReservationId: "r-1234567890abcdef0", OwnerId: account, Groups: [] },
    ".Reservations.Instances": {
        ImageId: "ami-bff32ccc",
        ...privateAddress,
        ...publicDns,
        PublicIpAddress: "54.194.252.215",
        ...network,
        StateTransitionReason: "",
        AmiLaunchIndex: 0,
        ProductCodes: [],
        InstanceType: "t4g.small",
        LaunchTime: "2026-05-08T16:46:19.000Z",
        Placement: { ...zone, GroupName: "", Tenancy: "default" },
        Monitoring: { State: "disabled" },
        SecurityGroups: securityGroups,
        Architecture: "arm64",
        RootDeviceType: "ebs",
        RootDeviceName: "/dev/xvda",
        BlockDeviceMappings: [{ DeviceName: "/dev/xvda", Ebs: { VolumeId: "vol-1234567890abcdef0", ...attached } }],
        VirtualizationType: "hvm",
        ClientToken: "xMcwG14507example",
        Hypervisor: "xen",
        NetworkInterfaces: [networkInterface],
        IamInstanceProfile: { Arn: `arn:aws:iam::${account}:instance-profile/shop`, Id: "ABCAJEDNCAA64SSD123AB" },
        EbsOptimized: true,
        EnaSupport: true,
        CpuOptions: { CoreCount: 2, ThreadsPerCore: 1 },
        CapacityReservationSpecification: { CapacityReservationPreference: "open" },
        HibernationOptions: { Configured: false },
        MetadataOptions: {
            State: "applied",
            HttpTokens: "required",
            HttpEndpoint: "enabled",
            HttpPutResponseHopLimit: 2,
            InstanceMetadataTags: "enabled",
        },
        EnclaveOptions: { Enabled: false },
        BootMode: "uefi",
        MaintenanceOptions: { AutoRecovery: "default" },
    },
    ".Reservations.Instances.State": { Code: 16 },
    ".InstanceStatuses": { ...zone, AttachedEbsStatus: passed },
    ".InstanceStatuses.SystemStatus": passed,
    ".InstanceStatuses.InstanceStatus": passed,
    ".AutoScalingGroups": {
        AutoScalingGroupARN: `arn:aws:autoscaling:us-east-1:${account}:autoScalingGroup:12345678-1234-1234-1234-${account}:autoScalingGroupName/shop`,
        LaunchTemplate: launchTemplate,
        MinSize: 1,
        MaxSize: 1000,
        DefaultCooldown: 300,
        AvailabilityZones: ["us-east-1a", "us-east-1b", "us-east-1c"],
        LoadBalancerNames: [],
        TargetGroupARNs: [`arn:aws:elasticloadbalancing:us-east-1:${account}:targetgroup/shop/943f017f100becff`],
        HealthCheckType: "ELB",
        HealthCheckGracePeriod: 300,
        CreatedTime: "2026-03-01T12:37:18.614Z",
        SuspendedProcesses: [],
        VPCZoneIdentifier: "subnet-5ea0c127,subnet-6194ea3b,subnet-c934b782",
        EnabledMetrics: [],
        TerminationPolicies: ["Default"],
        ServiceLinkedRoleARN: `arn:aws:iam::${account}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRole`,
        TrafficSources: [],
    },
    ".AutoScalingGroups.Instances": member,
    ".AutoScalingGroups.Tags": { ResourceId: "shop", ResourceType: "auto-scaling-group", PropagateAtLaunch: true },
    ".AutoScalingInstances": member,
    ".MetricDataResults": { Label: "CPUUtilization", StatusCode: "Complete" },
};

const ordinaryKeys = ["Name", "application", "cost-center", "managed-by", "repository"];
/** Five tags, as groups and instances often have them; keys that no setting names. */
export const ordinaryTags = ordinaryKeys.map((Key) => ({ Key, Value: "shop" }));
