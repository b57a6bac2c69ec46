// Code generated from the Go package github.com/troupe-dev/troupe/backend/typegen/testdata/all (go generate ./...). DO NOT EDIT.

/**
 * Addr represents an IPv4 or IPv6 address (with or without a scoped
 * addressing zone), similar to [net.IP] or [net.IPAddr].
 *
 * Unlike [net.IP] or [net.IPAddr], Addr is a comparable value
 * type (it supports == and can be a map key) and is immutable.
 *
 * The zero Addr is not a valid IP address.
 * Addr{} is distinct from both 0.0.0.0 and ::.
 */
export type Addr = string;

/** Base is embedded. */
export interface Base {
  id: string;
  /** hidden by a field that is less deep */
  Page: number;
}

/** Branch is recursive by a slice and by a pointer. */
export interface Branch {
  value: number;
  children: Branch[];
  parent: Branch | null;
}

/** Color is what it says. */
export type Color = `#${string}`;

/** Dir is recursive by a map. */
export type Dir = { [key: string]: Dir };

/**
 * A Duration represents the elapsed time between two instants
 * as an int64 nanosecond count. The representation limits the
 * largest representable duration to approximately 290 years.
 */
export type Duration = number;

/** Embedding has fields of its own and promoted ones; id clashes. */
export interface Embedding {
  /** hidden by a field that is less deep */
  Page: number;
  Only: number;
  note?: string;
  first: number;
  second: string[];
}

/** Empty has nothing. */
export type Empty = Record<string, never>;

/** Every has a field of every kind that has random values. */
export interface Every {
  bool: boolean;
  uint8: number;
  float: number;
  NoTag: string;
  "odd name": string;
  omitEmpty?: string;
  omitTime?: string;
  omitNil?: Base;
  omitSlice?: string[];
  omitMap?: Record<string, number[]>;
  omitZero?: PairIntBoolArray;
  quotedInt: string;
  quotedPointer: string | null;
  quotedItems: number[];
  quotedString: string;
  quotedBool: string;
  pointer: string | null;
  pointerPointer: number | null;
  pointerToSlice: number[] | null;
  pointerToMap: Record<string, number[]> | null;
  pointers: (Base | null)[];
  mapPointers: (Record<string, number> | null)[];
  inlinePointers: ({ a: number | null } | null)[];
  deep: Record<string, number>[][];
  array: number[];
  nested: string[][];
  bytes: string;
  byteArray: number[];
  intMap: Record<string, string[]>;
  textMap: Record<string, Base>;
  sizeMap: Partial<Record<Size, boolean>>;
  structMap: Record<string, Embedding>;
  duration: Duration;
  raw: unknown;
  number: number;
  any: unknown;
  addr: Addr;
  color: Color;
  colors: Color[];
  temp: Temperature | null;
  big: number | null;
  size: Size;
  sizes: Size[];
  omitSize?: Size;
  userId: UserID;
  side: Side;
  branch: Branch;
  dir: Dir;
  nest: Nest;
  embedding: Embedding;
  pair: PairStringBase;
  pair2: PairStringBase2;
  pages: PageStringArray;
  pageMap: PageIntRecord;
  lower: Lower;
  empty: Empty;
}

/** Input is what a room is made of. */
export interface Input {
  size: number;
}

/** Item has the name of another type. */
export interface Item {
  id: string;
  /** hidden by a field that is less deep */
  Page: number;
  note?: string;
  named: Base;
  pointer: Item | null;
  left?: Item;
  tree: Item[];
  quoted: string;
  when: string;
  bytes: string;
  array: number[];
  raw: unknown;
  any?: unknown;
  byName: Record<string, Item | null>;
  byNumber: Record<string, number[]>;
  BySide: Partial<Record<Side, number>>;
  "other-item": OtherItem;
  page: PageItem;
  pages: PageString;
  alias: Record<string, Scores>;
  color: Color;
  temp: Temperature;
  hinted: 1 | 2;
  inline: { a: number; b: { c: boolean } };
  union: Side[];
  "-": number;
}

/** ItemAdded is like an item. */
export type ItemAdded = Item;

/** Lower is known to others by another name than its own. */
export interface Lower {
  text: string;
}

/** Nest is recursive by a slice alone. */
export type Nest = Nest[];

/** Item is one of another package. */
export interface OtherItem {
  /** how many */
  count: number;
}

/** Page is a part of a Table, as clients get it: useActorPages shows pages that an action returns. */
export interface Page<K, V> {
  /** in the order of their keys */
  items: { key: K; value: V }[];
  /** the table has items before them */
  hasBefore: boolean;
  /** the table has items after them */
  hasAfter: boolean;
}

/**
 * Page is a part of a list.
 *
 * It has more than one line.
 */
export interface PageIntRecord {
  items: Record<string, number>[];
  next?: Record<string, number>;
}

/**
 * Page is a part of a list.
 *
 * It has more than one line.
 */
export interface PageItem {
  items: OtherItem[];
  next?: OtherItem;
}

/**
 * Page is a part of a list.
 *
 * It has more than one line.
 */
export interface PageString {
  items: string[];
  next?: string;
}

/**
 * Page is a part of a list.
 *
 * It has more than one line.
 */
export interface PageStringArray {
  items: string[][];
  next?: string[];
}

/** Pair is generic. */
export interface PairIntBoolArray {
  first: number;
  second: boolean[];
}

/** Pair is generic. */
export interface PairStringBase {
  first: string;
  second: Base | null;
}

/** Pair is generic. */
export interface PairStringBase2 {
  first: string;
  second: Base;
}

/** Params has all optional. */
export interface Params {
  token?: string;
}

/** Scores is a named map. */
export type Scores = { [key: string]: number };

/** Side is left or right. */
export type Side = "right" | "left";

/** Size is a string type whose constants are all of its values. */
export type Size = "small" | "large" | "\"tall\" \u003c\\";

/** Temperature is text. */
export type Temperature = string;

/** UserID is a string type with a constant that is not all of its values. */
export type UserID = string;

/** The actors of the server, by name: their actions, events, params and input. */
export interface Registry {
  /** Room is an actor. */
  room: {
    actions: {
      /** add adds an item. *\/ */
      add(userId: string, new_: OtherItem, arg3: Item[]): Item | null;
      get(): Record<string, Item>;
      /** log10 has a position that may be null, and a page as its result. */
      log10(before: number | null): Page<number, Base>;
      /** inner has an argument of an unnamed type. */
      inner(at: { X: number; Y: number }): void;
    };
    events: {
      /** itemAdded is like an item. */
      itemAdded: ItemAdded;
      /** item is one of another package. */
      item: OtherItem;
    };
    params: Params | undefined;
    input: Input;
  };
  /** Empty has nothing. */
  "empty-one": {
    actions: Record<never, never>;
    events: Record<never, never>;
    params: undefined;
    input: undefined;
  };
  /** Teller is an actor that is created without input. */
  teller: {
    actions: {
      /** value returns one of Values. */
      value(n: number): Every;
      /**
       * check takes every kind of argument. Names that are taken, and missing ones, get
       * others.
       */
      check(every: Every, userId: UserID, userId3: Size | null, arg4: number): void;
    };
    events: Record<never, never>;
    params: undefined;
    input: undefined;
  };
}

/** The registry for `createClient<typeof registry>(url, { registry })`. The client compares its fingerprints with the server's. */
export const registry = {
  "~contract": "NfHUcMiwSyDmWjJp",
  "~parts": [
    "room.add():b0WG",
    "room.connect():laUk",
    "room.create():utZT",
    "room.get():iAM8",
    "room.inner():Vksm",
    "room.log10():eutK",
    "room.on(item):aQYY",
    "room.on(itemAdded):UYs5",
    "teller.check():6Kjk",
    "teller.value():XQB4",
  ],
} as unknown as Registry;
