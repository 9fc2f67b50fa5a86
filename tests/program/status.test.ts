// `npm run status`: what it prints of a region, with read rights only, and its exit status.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { expect } from "chai";
import { explained, prepareSdk } from "../../election/stack/operator";
import { main } from "../../election/status";
import type { GroupStatus } from "../../election/status/found";
import { setStage } from "../rehearsal/stage";
import { AwsServer, refusal } from "../simulator/aws/http";
import type { Region } from "../simulator/aws/region";
import { inThisProcess } from "../simulator/command-line";
import { firstOf, firstTwo, only } from "../simulator/lists";
import { sinceKey, tagKey } from "../simulator/names";
import { programWith } from "../simulator/scenario";
import { project, root } from "../simulator/stack/program";
import { inWorld, type World } from "../simulator/world";

const scope = { asgPrefixes: ["awseb-"], tagKey, electorateTag: "" };
const [shop, blog] = ["awseb-e-shop", "awseb-e-blog"];

/** The rehearsal's region after its groups have been led for some minutes, and something has happened. */
async function regionAfter(happens: (world: World) => void | Promise<void>): Promise<Region> {
    return inWorld(await programWith(), async (world) => {
        setStage(world, scope);
        world.fleet.scale(shop, 3);
        world.fleet.scale(blog, 2);
        world.stack.sweeping = true;
        await world.timeline.pass(5 * 60_000);
        world.stack.sweeping = false;
        world.stack.fate = () => [];
        await happens(world);
        return world.region;
    });
}

const stripShop = ({ region }: World) => {
    for (const id of region.leaders(shop, tagKey)) {
        region.setTags(id, { [tagKey]: undefined });
    }
};

describe("npm run status", () => {
    let quiet: Region;
    before(async () => {
        quiet = await regionAfter(() => {});
    });

    let aws: AwsServer;
    afterEach(() => aws.close());

    /** Runs it where AWS has a region. */
    async function status(region: Region, ...options: string[]) {
        aws = await AwsServer.open(region);
        return run(...options);
    }

    const environment = () => ({
        AWS_ENDPOINT_URL: aws.url,
        AWS_ACCESS_KEY_ID: "testing",
        AWS_SECRET_ACCESS_KEY: "testing",
        AWS_REGION: "us-east-1",
    });

    /** Runs it in this process, which is quicker. */
    async function run(...options: string[]) {
        const before = { ...process.env };
        Object.assign(process.env, environment());
        try {
            const { status: code, out: stdout, err: stderr } = await inThisProcess(main, options);
            return { stdout, stderr, code };
        } finally {
            for (const key of Object.keys(environment())) {
                delete process.env[key];
            }
            Object.assign(process.env, before);
        }
    }

    /** Runs it as npm does, in the project's folder or a copy of it. */
    async function runAlone(folder: string, more: Record<string, string | undefined>, ...options: string[]) {
        const env = { ...process.env, ...environment(), ...more };
        const args = ["-r", "ts-node/register", join("election", "status", "index.ts"), ...options];
        const child = spawn(process.execPath, args, { env, cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
        const [stdout, stderr, [code]] = await Promise.all([
            text(child.stdout),
            text(child.stderr),
            once(child, "close"),
        ]);
        return { stdout, stderr, code };
    }

    it("shows each group with its leader, since when, and that an election changes nothing", async () => {
        const { stdout, code } = await status(quiet);
        const lines = stdout.split("\n");
        for (const [group, wants] of [
            [shop, 3],
            [blog, 2],
        ] as const) {
            const leader = only(quiet.leaders(group, tagKey));
            const line = lines.find((one) => one.startsWith(group));
            expect(line).to.match(new RegExp(` led +${wants} +${wants} +${leader} +${quiet.tags(leader)[sinceKey]} `));
            expect(line).to.match(/ \d+ (s|min|h|d) +changes nothing$/);
        }
        expect(stdout).to.contain("2 groups with the prefix awseb- in us-east-1: 0 vacant, 0 contested, 0 not read.");
        expect(stdout).to.contain("Elections that events alone would cause are not shown");
        expect(code).to.equal(0);
        const written = aws.calls.filter(({ action }) => !/^(Describe|Get)/.test(action));
        expect(written, "calls that write").to.deep.equal([]);
    });

    it("shows a vacant and a contested group first, with what an election would choose and why, and exits with 1", async () => {
        const region = await regionAfter(({ region, fleet }) => {
            const leader = only(region.leaders(shop, tagKey));
            region.setTags(leader, { [tagKey]: undefined });
            for (const id of fleet.members(shop)) {
                region.instance(id).load = id === leader ? 4 : 91;
            }
            for (const id of fleet.members(blog)) {
                region.setTags(id, { [tagKey]: "true" });
            }
        });
        const { stdout, code } = await status(region, "--json");
        const statuses: GroupStatus[] = JSON.parse(stdout);
        expect(statuses.map(({ group, state }) => [group, state])).to.deep.equal([
            [blog, "contested"],
            [shop, "vacant"],
        ]);
        const [contested, vacant] = firstTwo(statuses);
        const [stays, goes] = firstTwo(contested.leaders.map(({ id }) => id));
        expect(contested.election).to.deep.equal({ outcome: "kept", demote: [goes] });
        expect(region.tags(stays)[sinceKey]).to.be.a("string");
        const idle = [...region.instances.keys()].find((id) => region.instance(id).load === 4);
        expect(vacant.election).to.deep.equal({
            outcome: "elected",
            choose: idle,
            because: "checks ok, CPU 4 %",
            demote: [],
        });
        expect(code).to.equal(1);
        const table = (await run()).stdout;
        expect(table)
            .to.contain(`chooses ${idle} (checks ok, CPU 4 %): `)
            .and.to.contain(`takes the tag off ${goes}: `);
    });

    it("chooses the instance that the function then chooses", async () => {
        let chosen = "";
        const region = await regionAfter(async (world) => {
            const leader = only(world.region.leaders(shop, tagKey));
            world.region.setTags(leader, { [tagKey]: undefined });
        });
        const { stdout } = await status(region, "--json");
        chosen = firstOf(JSON.parse(stdout) as GroupStatus[]).election?.choose ?? "";
        const elected = await regionAfter(async (world) => {
            const leader = only(world.region.leaders(shop, tagKey));
            world.region.setTags(leader, { [tagKey]: undefined });
            world.stack.sweep();
            await world.stack.settle();
        });
        expect(elected.leaders(shop, tagKey)).to.deep.equal([chosen]);
    });

    it("looks at another prefix and tag key, and says so if no group has the prefix", async () => {
        expect((await status(quiet, "--prefix", "legacy-")).stdout).to.contain("legacy-jobs");
        const none = await run("--prefix", "nothing-", "--region", "eu-west-1");
        expect(none.stdout).to.contain("No group's name begins with nothing- in eu-west-1.");
        expect(none.code).to.equal(1);
        const other = await run("--tag-key", "app:other", "--json");
        expect((JSON.parse(other.stdout) as GroupStatus[]).map(({ state }) => state)).to.deep.equal([
            "vacant",
            "vacant",
        ]);
        expect(other.code).to.equal(1);
    });

    it("takes groups with the same value of a tag as one", async () => {
        const region = await regionAfter(({ region }) => {
            for (const group of [shop, blog]) {
                (region.groups.get(group) as { tags: Record<string, string> }).tags.environment = "site";
            }
        });
        const { stdout } = await status(region, "--electorate-tag", "environment", "--json");
        const site = only(JSON.parse(stdout) as GroupStatus[]);
        expect(site).to.include({ group: "environment=site", state: "contested", desired: 5, inService: 5 });
        expect(site.groups).to.have.members([shop, blog]);
    });

    it("exits with 2 and names the call if AWS refuses to list the groups", async () => {
        aws = await AwsServer.open(quiet);
        aws.fault = ({ action }) =>
            action === "DescribeAutoScalingGroups" ? refusal("AccessDenied", 403, "not allowed") : undefined;
        const { stdout, stderr, code } = await run();
        expect([stdout, code]).to.deep.equal(["", 2]);
        expect(stderr).to.contain("autoscaling:DescribeAutoScalingGroups").and.to.contain("AccessDenied");
    });

    it("exits with 2 and shows the group as not read if AWS refuses to say how its instances are", async () => {
        aws = await AwsServer.open(await regionAfter(stripShop));
        aws.fault = ({ action }) =>
            action === "DescribeInstanceStatus" ? refusal("UnauthorizedOperation", 403, "not allowed") : undefined;
        const { stdout, code } = await run();
        expect(code).to.equal(2);
        expect(stdout).to.match(new RegExp(`^${shop} +failed `, "m"));
        expect(stdout).to.contain("1 not read").and.to.contain("ec2:DescribeInstanceStatus");
    });

    it("is a command of its own, with exit status and streams, and explains itself", async () => {
        aws = await AwsServer.open(await regionAfter(stripShop));
        const { stdout, code } = await runAlone(root, {});
        expect(code).to.equal(1);
        expect(stdout).to.match(new RegExp(`^${shop} +vacant `, "m"));
        const explained = await run("--help");
        expect(explained.code).to.equal(0);
        expect(explained.stdout).to.contain("--prefix").and.to.contain("--json");
    });

    it("takes what a stack looks at from the stack's file: prefixes, region and profile", async () => {
        aws = await AwsServer.open(quiet);
        const folder = mkdtempSync(join(tmpdir(), "status-"));
        try {
            for (const file of ["election", "Pulumi.yaml", "package.json", "tsconfig.json"]) {
                cpSync(join(root, file), join(folder, file), { recursive: true });
            }
            symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
            const credentials = "[on-call]\naws_access_key_id = testing\naws_secret_access_key = testing\n";
            writeFileSync(join(folder, "credentials"), credentials);
            const config = {
                "aws:region": "eu-west-1",
                "aws:profile": "on-call",
                [`${project}:asgPrefix`]: "awseb-e-b",
            };
            writeFileSync(join(folder, "Pulumi.prod.yaml"), JSON.stringify({ config }));
            const keys = { AWS_ACCESS_KEY_ID: undefined, AWS_SECRET_ACCESS_KEY: undefined };
            const file = { AWS_SHARED_CREDENTIALS_FILE: join(folder, "credentials") };
            const { stdout, stderr } = await runAlone(folder, { ...keys, ...file }, "--stack", "prod");
            expect(stderr).to.equal("");
            expect(stdout).to.contain(blog).and.to.contain("1 groups with the prefix awseb-e-b in eu-west-1");
            expect(stdout).to.not.contain(shop);
        } finally {
            rmSync(folder, { recursive: true });
        }
    });

    it("names groups that are there if no group has one of the prefixes, and exits with 1", async () => {
        const { stdout, code } = await status(quiet, "--prefix", "awseb- CodeDeploy_");
        expect(code).to.equal(1);
        expect(stdout).to.match(new RegExp(`^${shop} +led `, "m"));
        expect(stdout).to.match(
            new RegExp(
                `^No group's name begins with CodeDeploy_ in us-east-1\\. Groups there: .*${shop}.*${blog}`,
                "m",
            ),
        );
    });

    it("shows a paused group as paused, with what an election would do, and exits with 0", async () => {
        const paused = await regionAfter((world) => {
            const group = world.region.groups.get(shop);
            Object.assign(group?.tags ?? {}, { [`${tagKey}:paused`]: "true" });
            stripShop(world);
        });
        const { stdout, code } = await status(paused);
        expect(code).to.equal(0);
        expect(stdout).to.match(new RegExp(`^${shop} +paused .*an election would choose one of 3`, "m"));
    });

    it("looks where AWS_DEFAULT_REGION says, as the AWS CLI does", async () => {
        aws = await AwsServer.open(quiet);
        const regions = { AWS_REGION: undefined, AWS_DEFAULT_REGION: "eu-north-1" };
        expect((await runAlone(root, regions)).stdout).to.contain("in eu-north-1");
    });

    const keyless = {
        AWS_ACCESS_KEY_ID: undefined,
        AWS_SECRET_ACCESS_KEY: undefined,
        AWS_EC2_METADATA_DISABLED: "true",
    };
    for (const [cause, environment, says] of [
        ["no region is set", { AWS_REGION: undefined }, /^Region is missing. Give --region, or set AWS_REGION/],
        ["there are no credentials", keyless, /^\w+:Describe.*CredentialsProviderError.* Set AWS_PROFILE, or sign in/],
        [
            "the profile needs an MFA code",
            { ...keyless, AWS_PROFILE: "mfa" },
            /MFA.* let the AWS CLI do it first: eval "/i,
        ],
    ] as const) {
        it(`says what to do if ${cause}, and exits with 2`, async () => {
            aws = await AwsServer.open(quiet);
            const folder = mkdtempSync(join(tmpdir(), "status-"));
            try {
                const profile = "[profile mfa]\nrole_arn = arn:aws:iam::123456789012:role/on-call\n";
                const source = "source_profile = default\nmfa_serial = arn:aws:iam::123456789012:mfa/shop\n";
                writeFileSync(join(folder, "config"), profile + source);
                writeFileSync(join(folder, "credentials"), "[default]\naws_access_key_id=a\naws_secret_access_key=b\n");
                const files = ["config", "credentials"].map((file) => join(folder, file));
                const [AWS_CONFIG_FILE, AWS_SHARED_CREDENTIALS_FILE] =
                    "AWS_PROFILE" in environment ? files : ["/dev/null", "/dev/null"];
                const more = { AWS_CONFIG_FILE, AWS_SHARED_CREDENTIALS_FILE, ...environment };
                const { stdout, stderr, code } = await runAlone(root, more);
                expect([stdout, code]).to.deep.equal(["", 2]);
                expect(stderr).to.match(says);
                expect(stderr.trim().split("\n")).to.have.length(1);
            } finally {
                rmSync(folder, { recursive: true });
            }
        });
    }

    it("has the SDK take the profile that a stack names", () => {
        const before = process.env.AWS_PROFILE;
        prepareSdk("eu-west-1", "on-call");
        expect(process.env.AWS_PROFILE).to.equal("on-call");
        delete process.env.AWS_PROFILE;
        Object.assign(process.env, before === undefined ? {} : { AWS_PROFILE: before });
        delete process.env.AWS_REGION;
    });

    it("says that the SDK ignores a proxy if AWS can't be reached and one is set", () => {
        const failure = new Error("ec2:DescribeInstances on *: AbortError: no answer in time");
        const before = process.env.HTTPS_PROXY;
        process.env.HTTPS_PROXY = "http://proxy:3128";
        expect(explained(failure)).to.match(/no answer in time\. HTTPS_PROXY is set, which the AWS SDK ignores: use /);
        delete process.env.HTTPS_PROXY;
        expect(explained(failure)).to.match(/no answer in time$/);
        Object.assign(process.env, before === undefined ? {} : { HTTPS_PROXY: before });
    });

    it("says that the credentials have expired if AWS does", async () => {
        aws = await AwsServer.open(quiet);
        aws.fault = () => refusal("ExpiredToken", 403, "The security token included in the request is expired");
        const { stderr, code } = await run();
        expect(code).to.equal(2);
        expect(stderr).to.match(/expired\. Get new credentials, for instance with aws sso login\.\n$/);
    });

    for (const [options, message] of [
        [["--foo"], "Unknown option '--foo'. See --help.\n"],
        [["--prefix", "a", "--prefix", "b"], "Option '--prefix' is given twice. See --help.\n"],
        [["shop"], /^Unexpected argument 'shop'.*See --help\.\n$/],
        [["--prefix", "a ?b"], /^Setting asgPrefix is "a \?b", but it must be /],
        [["--stack", "none"], /^There is no file Pulumi\.none\.yaml of a stack none; /],
        [["--tag-key", "aws:x"], /^Setting tagKey is "aws:x", but it must be /],
    ] as const) {
        it(`refuses ${options.join(" ")} in one line, and exits with 2`, async () => {
            const { stdout, stderr, code } = await status(quiet, ...options);
            expect([stdout, code]).to.deep.equal(["", 2]);
            expect(stderr).to.match(
                typeof message === "string" ? new RegExp(`^${message.replaceAll(/[.?]/g, "\\$&")}$`) : message,
            );
        });
    }
});
