// SPDX-License-Identifier: Apache-2.0

// What the tag meets on a page that the DOM library does not describe.

interface Window {
  dataLayer?: unknown[];
  near?: { (command: string, ...args: any[]): void; q?: [string, ...any[]][] };
  __tcfapi?: (
    command: "addEventListener",
    version: 2,
    listener: (data: { gdprApplies?: boolean; eventStatus: string; tcString: string } | null) => void,
  ) => void;
  __gpp?: (
    command: "addEventListener",
    listener: (
      event: { pingData: { signalStatus: string; gppString: string; applicableSections: number[] } } | null,
    ) => void,
  ) => void;
}

interface Navigator {
  readonly globalPrivacyControl?: boolean;
}

interface Document {
  readonly prerendering?: boolean;
}
