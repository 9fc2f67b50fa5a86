// What keeps leader-only from running a command: an instance about to leave, and trouble that lasts as long as --wait.
// And --check, which says what it finds.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { type Answer, followerTags, leaderTags, lifecyclePath, tokenPath } from "../simulator/metadata";
import { find, withTool } from "../tools";
import { expectUnknown, job, leftAlone, leftAloneSilently, ran, saysTrue, underEachShell } from "./machine";
import { standIn } from "./stand-in";

underEachShell("leader-only runs nothing", leaderTags, (machine, row) => {
    describe("on a leader that is about to leave its group", () => {
        const pools = ["Warmed:Stopped", "Warmed:Running", "Warmed:Hibernated"];
        for (const lifecycle of ["Terminated", "Detached", ...pools]) {
            row(`for ${lifecycle}`, async () => {
                machine.metadata.lifecycle = lifecycle;
                expect(await machine.run(job)).to.deep.include(leftAloneSilently);
                expect(await machine.run(["--strict", ...job])).to.deep.include(leftAlone);
                expect(await machine.run(["--since"])).to.deep.include(leftAloneSilently);
            });
        }

        for (const lifecycle of [undefined, "", "InService", "Standby", "Unheard:Of"]) {
            row(`but the tag decides for ${lifecycle ?? "an instance outside a group"}`, async () => {
                machine.metadata.lifecycle = lifecycle;
                expect(await machine.run(["--strict", ...job])).to.deep.include(ran);
                machine.metadata.tags = followerTags;
                expect(await machine.run(["--strict", ...job])).to.deep.include(leftAlone);
            });
        }

        it("also if the tag came from the AWS CLI", async () => {
            await machine.launch(undefined);
            machine.installCli(saysTrue);
            machine.metadata.lifecycle = "Terminated";
            expect(await machine.run(["--strict", ...job])).to.deep.include(leftAlone);
        });

        const unclear: [Answer, RegExp][] = [
            [{ status: 200, body: "<html>InService</html>" }, /no lifecycle state/],
            [{ status: 200, body: "InService\nTerminated" }, /no lifecycle state/],
            [{ status: 403 }, /HTTP status 403 \(autoscaling\/target-lifecycle-state\)/],
        ];
        for (const [answer, reason] of unclear) {
            row(`and can't find out if the state is ${JSON.stringify(answer)}`, async () => {
                machine.metadata.instead = { [lifecyclePath]: answer };
                expectUnknown(await machine.run(job), reason);
            });
        }
    });

    describe("with --check,", () => {
        const check = async (...args: string[]) => {
            const { status, stdout, stderr } = await machine.run(["--check", ...args]);
            expect(stderr).to.equal("");
            return { status, lines: stdout.trimEnd().split("\n") };
        };

        it("but says of a leader that it would", async () => {
            const { status, lines } = await check(...job);
            expect(status).to.equal(0);
            expect(lines).to.include.members([
                `instance metadata: ${machine.metadata.endpoint}`,
                "instance: i-0123456789abcdef0",
                "metadata shows tags: yes",
                "Auto Scaling group: awseb-e-shop",
                "app:isLeader: true",
                "target-lifecycle-state: InService",
            ]);
            expect(lines.at(-1)).to.equal("so: would run echo the job ran");
            expect((await check()).lines.at(-1)).to.equal("so: would run");
        });

        it("says that the tag is missing, and why that may be", async () => {
            machine.metadata.tags = followerTags;
            const { status, lines } = await check("worker");
            expect(status).to.equal(1);
            expect(lines).to.include.members(["metadata shows tags: yes", "app:isLeader: missing on this instance"]);
            expect(lines.join("\n")).to.match(/another instance leads.*another tagKey.*\n.*no stack.*asgPrefix/);
            expect(lines.at(-1)).to.equal("so: would not run worker (app:isLeader is missing on this instance)");
        });

        it("names the key by which this instance has led", async () => {
            machine.metadata.tags = { ...followerTags, "shop:primary": "true", "shop:primary:since": "2026" };
            const { lines } = await check();
            expect(lines).to.include("This instance has led by another key: shop:primary");
        });

        it("says that tags aren't shown", async () => {
            await machine.launch(undefined);
            const { status, lines } = await check("worker");
            expect(status).to.equal(2);
            expect(lines.join("\n")).to.match(/metadata shows tags: no \(InstanceMetadataTags is not enabled\)/);
            expect(lines.at(-1)).to.match(/^so: would not run worker, because it can't find out \(.*not installed\)$/);
            machine.installCli(saysTrue);
            expect((await check("worker")).lines.at(-1)).to.equal("so: would run worker");
        });

        row("says that metadata can't be reached", async () => {
            machine.metadata.stop();
            const { status, lines } = await check("--wait", "2");
            expect(status).to.equal(2);
            expect(lines).to.have.length(2);
            expect(lines[1]).to.match(/because it can't find out \(no proper answer from .*: no connection\)\)$/);
        });

        row("suggests the hop limit if metadata is silent", async () => {
            machine.metadata.instead = { [tokenPath]: "hangs" };
            const { status, lines } = await check("--wait", "2");
            expect(status).to.equal(2);
            expect(lines[1]).to.match(/^In a container .* HttpPutResponseHopLimit/);
            expect(lines[2]).to.match(/: it is silent\)\)$/);
        });

        it("names the endpoint as the SDKs do", async () => {
            const endpoint = async (env: Record<string, string>) => {
                const from = { AWS_EC2_METADATA_SERVICE_ENDPOINT: "", ...env };
                const { stdout } = await machine.run(["--check", "--wait=0.1"], { env: from });
                return stdout.match(/^instance metadata: (.*)/)?.[1];
            };
            const mode = "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE";
            expect(await endpoint({})).to.equal("http://169.254.169.254");
            expect(await endpoint({ [mode]: "IPv4" })).to.equal("http://169.254.169.254");
            expect(await endpoint({ [mode]: "IPv6" })).to.equal("http://[fd00:ec2::254]");
            expect(await endpoint({ [mode]: "ipv6" })).to.equal("http://[fd00:ec2::254]");
            const both = { [mode]: "IPv6", AWS_EC2_METADATA_SERVICE_ENDPOINT: machine.metadata.endpoint };
            expect(await endpoint(both)).to.equal(machine.metadata.endpoint);
        });
    });

    describe("beyond its limit:", () => {
        const silent = /shows no tags, and the AWS CLI gave no answer within 3.60 s; --wait SECONDS allows it more/;
        // A program named timeout may end with another status: BusyBox's with 143, uutils' with 125. Shells may remark on it.
        const ways: Record<string, [string, string | undefined, RegExp]> = {
            "the AWS CLI hangs": ["", undefined, /^$/],
            "the AWS CLI hangs, with BusyBox's timeout": ["", 'exec busybox timeout "$@"', /^(Terminated\n)?$/],
            "the AWS CLI hangs, with uutils' timeout": ["", `"${find("timeout")}" "$@" || exit 125`, /^$/],
            "the AWS CLI hangs and won't end": ["trap '' TERM; sleep 1000;", undefined, /^(.*Killed.*\n)?$/],
        };
        withTool("busybox", () =>
            row(Object.keys(ways).join("; "), async () => {
                await machine.launch(undefined);
                const tries = Object.values(ways).map(async ([first, timeout, remark]) => {
                    const folder = machine.folderWith("busybox");
                    if (timeout) {
                        standIn(folder, "timeout", timeout);
                    }
                    machine.installCli(`${first} exec sleep 1000`, folder);
                    expectUnknown(await machine.run(["--wait=4", ...job]), silent, remark);
                });
                await Promise.all(tries);
            }),
        );

        it("not though the AWS CLI leaves a process that holds its output open", async () => {
            await machine.launch(undefined);
            const left = join(machine.directory, "left");
            machine.installCli(`sleep 1000 2>/dev/null & echo $! >"${left}"; ${saysTrue}`);
            expect(await machine.run(job)).to.deep.include(ran);
            // It would have been waited for until now.
            process.kill(Number(readFileSync(left, "utf8")), "SIGKILL");
        });

        row("--wait allows a slow AWS CLI more", async () => {
            await machine.launch(undefined);
            machine.installCli(`sleep 3; ${saysTrue}`); // longer than the default allows
            expect(await machine.run(["--wait", "20", ...job])).to.deep.include(ran);
        });
    });
});
