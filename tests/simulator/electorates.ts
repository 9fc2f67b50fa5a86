import { isTrue, type Member, type Region } from "./aws/region";

/** Which groups are a stack's, which of them elect together, and what marks their leaders. */
export interface Franchise {
    asgPrefixes: string[];
    /** Key of the groups' tag whose value an electorate shares; empty: each group elects on its own. */
    electorateTag: string;
    tagKey: string;
}

/** Whether a group is the stack's. */
export const isOurs = ({ asgPrefixes }: Pick<Franchise, "asgPrefixes">, group: string | undefined): boolean =>
    group !== undefined && asgPrefixes.some((prefix) => group.startsWith(prefix));

/** Which groups elect together: an electorate has one leader for all its groups, and a group on its own is an electorate, too. */
export class Electorates {
    constructor(
        private readonly region: Region,
        readonly franchise: Franchise,
    ) {}

    /** Names of the stack's. */
    names(): string[] {
        const ours = [...this.region.groups.keys()].filter((group) => isOurs(this.franchise, group));
        return [...new Set(ours.map((group) => this.nameOf(group)))];
    }

    /** The one that a group belongs to, as reports call it. */
    nameOf(group: string): string {
        const { electorateTag } = this.franchise;
        const value =
            electorateTag && isOurs(this.franchise, group) && this.region.groups.get(group)?.tags[electorateTag];
        return value ? `${electorateTag}=${value}` : group;
    }

    members(name: string): Member[] {
        return this.groups(name).flatMap((group) => this.region.groups.get(group)?.members ?? []);
    }

    /** Ids of the live instances with the leader tag. */
    leaders(name: string): string[] {
        return this.groups(name).flatMap((group) => this.region.leaders(group, this.franchise.tagKey));
    }

    /** Those of which a group is paused. */
    paused(): Set<string> {
        const key = `${this.franchise.tagKey}:paused`;
        const paused = [...this.region.groups.values()].filter(({ tags }) => isTrue(tags[key]));
        return new Set(paused.map(({ name }) => this.nameOf(name)));
    }

    /** Names of its groups. */
    groups(name: string): string[] {
        return [...this.region.groups.keys()].filter((group) => this.nameOf(group) === name);
    }
}
