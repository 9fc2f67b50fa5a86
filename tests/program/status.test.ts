// `npm run status`: what it prints of a region, with read rights only, and its exit status.
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect } from "chai";
import { explained, prepareSdk } from "../../election/stack/operator";
import { main } from "../../election/status";
import type { GroupStatus } from "../../election/status/found";
import { setStage } from "../rehearsal/stage";
import { environmentFor } from "../simulator/aws/endpoint";
import { AwsServer, refusal } from "../simulator/aws/http";
import type { Region } from "../simulator/aws/region";
import { minute } from "../simulator/clock";
import { inThisProcess } from "../simulator/command-line";
import { copyOfProgram, newFolder } from "../simulator/folder";
import { firstOf, firstTwo, found, only } from "../simulator/lists";
import { pausedKey, sinceKey, tagKey } from "../simulator/names";
import { programWith, sweep } from "../simulator/scenario";
import { project, root } from "../simulator/stack/program";
import { inWorld, type World } from "../simulator/world";

const [shop, blog] = ["awseb-e-shop", "awseb-e-blog"];

/** The rehearsal's region after its groups have been led for some minutes, and something has happened. */
async function regionAfter(happens: (world: World) => void | Promise<void>): Promise<Region> {
    return inWorld(await programWith(), async (world) => {
        setStage(world, { asgPrefixes: ["awseb-"], tagKey, electorateTag: "" });
        world.fleet.scale(shop, 3);
        world.fleet.scale(blog, 2);
        world.stack.sweeping = true;
        await world.timeline.pass(5 * minute);
        world.stack.sweeping = false;
        world.stack.fate = () => [];
        await happens(world);
        return world.region;
    });
}

/** Takes the tag off the leader of shop; its id. */
function stripShop({ region }: World): string {
    const leader = only(region.leaders(shop, tagKey));
    region.setTags(leader, { [tagKey]: undefined });
    return leader;
}

describe("npm run status", () => {
    let quiet: Region;
    before(async () => {
        quiet = await regionAfter(() => {});
    });

    let aws: AwsServer;
    const real = process.env;
    beforeEach(() => {
        process.env = { ...real };
    });
    afterEach(() => {
        process.env = real;
        aws.close();
    });

    /** Opens the stand-in for AWS, and sets the environment for it; undefined takes a variable away. */
    async function openAws(region: Region, more: Record<string, string | undefined> = {}): Promise<void> {
        aws = await AwsServer.open(region);
        Object.assign(process.env, environmentFor(aws.url), more);
    }

    /** Runs it in this process, which is quicker. */
    const run = (...options: string[]) => inThisProcess(main, options);

    /** Runs it where AWS has a region. */
    async function statusOf(region: Region, ...options: string[]) {
        await openAws(region);
        return run(...options);
    }

    it("shows each group with its leader, since when, and that an election changes nothing", async () => {
        const { out, status } = await statusOf(quiet);
        const lines = out.split("\n");
        for (const [group, wants] of Object.entries({ [shop]: 3, [blog]: 2 })) {
            const leader = only(quiet.leaders(group, tagKey));
            const line = lines.find((one) => one.startsWith(group));
            expect(line).to.match(new RegExp(` led +${wants} +${wants} +${leader} +${quiet.tags(leader)[sinceKey]} `));
            expect(line).to.match(/ \d+ (s|min|h|d) +changes nothing$/);
        }
        expect(out).to.contain("2 groups with the prefix awseb- in us-east-1: 0 vacant, 0 contested, 0 not read.");
        expect(out).to.contain("Elections that events alone would cause are not shown");
        expect(status).to.equal(0);
        const written = aws.calls.filter(({ action }) => !/^(Describe|Get)/.test(action));
        expect(written, "calls that write").to.deep.equal([]);
    });

    it("shows a vacant and a contested group first, with what an election would choose and why, and exits with 1", async () => {
        let idle = "";
        const region = await regionAfter((world) => {
            idle = stripShop(world);
            for (const id of world.fleet.members(shop)) {
                world.region.instance(id).load = id === idle ? 4 : 91;
            }
            for (const id of world.fleet.members(blog)) {
                world.region.setTags(id, { [tagKey]: "true" });
            }
        });
        const { out, status } = await statusOf(region, "--json");
        const statuses: GroupStatus[] = JSON.parse(out);
        expect(statuses.map(({ group, state }) => [group, state])).to.deep.equal([
            [blog, "contested"],
            [shop, "vacant"],
        ]);
        const [contested, vacant] = firstTwo(statuses);
        const [stays, goes] = firstTwo(contested.leaders.map(({ id }) => id));
        expect(contested.election).to.deep.equal({ outcome: "kept", demote: [goes] });
        expect(region.tags(stays)[sinceKey]).to.be.a("string");
        const because = "checks ok, CPU 4 %";
        expect(vacant.election).to.deep.equal({ outcome: "elected", choose: idle, because, demote: [] });
        expect(status).to.equal(1);
        const table = (await run()).out;
        expect(table).to.contain(`chooses ${idle} (${because}): `).and.to.contain(`takes the tag off ${goes}: `);
    });

    it("chooses the instance that the function then chooses", async () => {
        const { out } = await statusOf(await regionAfter((world) => void stripShop(world)), "--json");
        const elected = await regionAfter(async (world) => {
            stripShop(world);
            await sweep(world);
        });
        const { election } = firstOf(JSON.parse(out) as GroupStatus[]);
        expect(elected.leaders(shop, tagKey)).to.deep.equal([election?.choose]);
    });

    it("looks at another prefix and tag key", async () => {
        expect((await statusOf(quiet, "--prefix", "legacy-")).out).to.contain("legacy-jobs");
        const other = await run("--tag-key", "app:other", "--json");
        const states = (JSON.parse(other.out) as GroupStatus[]).map(({ state }) => state);
        expect(states).to.deep.equal(["vacant", "vacant"]);
        expect(other.status).to.equal(1);
    });

    it("takes groups with the same value of a tag as one", async () => {
        const region = await regionAfter(({ region }) => {
            for (const group of [shop, blog]) {
                found(region.groups.get(group)?.tags).environment = "site";
            }
        });
        const { out } = await statusOf(region, "--electorate-tag", "environment", "--json");
        const site = only(JSON.parse(out) as GroupStatus[]);
        expect(site).to.include({ group: "environment=site", state: "contested", desired: 5, inService: 5 });
        expect(site.groups).to.have.members([shop, blog]);
    });

    it("exits with 2 and shows the group as not read if AWS refuses to say how its instances are", async () => {
        await openAws(await regionAfter((world) => void stripShop(world)));
        aws.fault = ({ action }) =>
            action === "DescribeInstanceStatus" ? refusal("UnauthorizedOperation", 403, "not allowed") : undefined;
        const { out, status } = await run();
        expect(status).to.equal(2);
        expect(out).to.match(new RegExp(`^${shop} +failed `, "m"));
        expect(out).to.contain("1 not read").and.to.contain("ec2:DescribeInstanceStatus");
    });

    it("explains itself", async () => {
        const { out, status } = await statusOf(quiet, "--help");
        expect(status).to.equal(0);
        expect(out).to.contain("--prefix").and.to.contain("--json");
    });

    /** Runs it as npm does, in the project's folder, where its coverage counts, or in a copy of it. */
    async function runAlone(cwd: string, ...options: string[]) {
        const command = ["-r", "ts-node/register", join("election", "status", "index.ts"), ...options];
        const ended = promisify(execFile)(process.execPath, command, { cwd });
        const { stdout, stderr, code = 0 } = await ended.catch((error) => error);
        return { stdout, stderr, code };
    }

    it("is a command of its own", async () => {
        await openAws(quiet);
        const { stdout, stderr, code } = await runAlone(root);
        expect({ stderr, code }).to.deep.equal({ stderr: "", code: 0 });
        expect(stdout).to.match(new RegExp(`^${shop} +led `, "m"));
    });

    it("has the SDK take the profile that a stack names", async () => {
        await openAws(quiet);
        prepareSdk("eu-west-1", "on-call");
        expect(process.env).to.include({ AWS_REGION: "eu-west-1", AWS_PROFILE: "on-call" });
    });

    it("takes prefixes, region and profile from a stack's file", async () => {
        const folder = copyOfProgram();
        const credentials = join(folder, "credentials");
        const vacant = await regionAfter((world) => void stripShop(world));
        await openAws(vacant, { ...keyless, AWS_SHARED_CREDENTIALS_FILE: credentials });
        writeFileSync(credentials, "[on-call]\naws_access_key_id = testing\naws_secret_access_key = testing\n");
        const region = { "aws:region": "eu-west-1", "aws:profile": "on-call" };
        const config = { ...region, [`${project}:asgPrefix`]: "awseb-e-s" };
        writeFileSync(join(folder, "Pulumi.prod.yaml"), JSON.stringify({ config }));
        const { stdout, stderr, code } = await runAlone(folder, "--stack", "prod");
        expect({ stderr, code }).to.deep.equal({ stderr: "", code: 1 });
        expect(stdout).to.match(new RegExp(`^${shop} +vacant `, "m"));
        expect(stdout).to.contain("1 groups with the prefix awseb-e-s in eu-west-1").and.to.not.contain(blog);
    });

    it("names groups that are there if no group of the named region has one of the prefixes, and exits with 1", async () => {
        const { out, status } = await statusOf(quiet, "--prefix", "awseb- CodeDeploy_", "--region", "eu-west-1");
        expect(status).to.equal(1);
        expect(out).to.match(new RegExp(`^${shop} +led `, "m"));
        const others = `Groups there: .*${shop}.*${blog}`;
        expect(out).to.match(new RegExp(`^No group's name begins with CodeDeploy_ in eu-west-1\\. ${others}`, "m"));
    });

    it("shows a paused group as paused, with what an election would do, and exits with 0", async () => {
        const paused = await regionAfter((world) => {
            found(world.region.groups.get(shop)?.tags)[pausedKey] = "true";
            stripShop(world);
        });
        const { out, status } = await statusOf(paused);
        expect(status).to.equal(0);
        expect(out).to.match(new RegExp(`^${shop} +paused .*an election would choose one of 3`, "m"));
    });

    it("looks where AWS_DEFAULT_REGION says, as the AWS CLI does", async () => {
        await openAws(quiet, { AWS_REGION: undefined, AWS_DEFAULT_REGION: "eu-north-1" });
        expect((await run()).out).to.contain("in eu-north-1");
    });

    const noKeys = { AWS_ACCESS_KEY_ID: undefined, AWS_SECRET_ACCESS_KEY: undefined };
    const keyless = { ...noKeys, AWS_EC2_METADATA_DISABLED: "true" };
    const profile = { ...keyless, AWS_PROFILE: "mfa" };
    const listing = "DescribeAutoScalingGroups";
    for (const [cause, environment, says, refused] of [
        ["no region is set", { AWS_REGION: undefined }, /^Region is missing. Give --region, or set AWS_REGION/],
        ["there are no credentials", keyless, /^\w+:Describe.*CredentialsProviderError.* Set AWS_PROFILE, or sign in/],
        ["the profile needs an MFA code", profile, /^.*MFA.* let the AWS CLI do it first: eval "/i],
        ["the credentials have expired", {}, /\. Get new credentials, .* aws sso login\.\n/, "ExpiredToken"],
        ["AWS refuses to list groups", {}, new RegExp(`^autoscaling:${listing}.*AccessDenied`), "AccessDenied"],
    ] as const) {
        it(`says in one line what is wrong if ${cause}, and exits with 2`, async () => {
            const folder = newFolder();
            const files = {
                AWS_CONFIG_FILE: join(folder, "config"),
                AWS_SHARED_CREDENTIALS_FILE: join(folder, "keys"),
            };
            await openAws(quiet, { ...files, ...environment });
            aws.fault = ({ action }) =>
                refused && action === listing ? refusal(refused, 403, "not allowed") : undefined;
            const role = "role_arn = arn:aws:iam::123456789012:role/on-call\nsource_profile = source";
            const device = "mfa_serial = arn:aws:iam::123456789012:mfa/shop";
            writeFileSync(files.AWS_CONFIG_FILE, `[profile mfa]\n${role}\n${device}\n`);
            const keys = "[source]\naws_access_key_id=a\naws_secret_access_key=b\n";
            writeFileSync(files.AWS_SHARED_CREDENTIALS_FILE, keys);
            const { out, err, status } = await run();
            expect([out, status]).to.deep.equal(["", 2]);
            expect(err).to.match(says);
            expect(err).to.match(/^.*\n$/);
        });
    }

    it("says that the SDK ignores a proxy if AWS can't be reached and one is set", () => {
        const failure = new Error("ec2:DescribeInstances on *: AbortError: no answer in time");
        process.env.HTTPS_PROXY = "http://proxy:3128";
        expect(explained(failure)).to.match(/no answer in time\. HTTPS_PROXY is set, which the AWS SDK ignores: use /);
        delete process.env.HTTPS_PROXY;
        expect(explained(failure)).to.match(/no answer in time$/);
    });

    for (const [options, message] of [
        [["--prefix", "a", "--prefix", "b"], /^Option '--prefix' is given twice\. See --help\.\n$/],
        [["shop"], /^Unexpected argument 'shop'.*See --help\.\n$/],
        [["--prefix", "a ?b"], /^Setting asgPrefix is "a \?b", but it must be .*\n$/],
        [["--stack", "none"], /^There is no file Pulumi\.none\.yaml of a stack none; .*\n$/],
        [["--tag-key", "aws:x"], /^Setting tagKey is "aws:x", but it must be .*\n$/],
    ] as const) {
        it(`refuses ${options.join(" ")} in one line, and exits with 2`, async () => {
            const { out, err, status } = await statusOf(quiet, ...options);
            expect([out, status]).to.deep.equal(["", 2]);
            expect(err).to.match(message);
        });
    }
});
