/**
 * Failures of netfilter beside the kernel's own refusals: programs of iptables fail, or the host
 * lacks something.
 */

/**
 * `timeout`: a program took too long; `failed`: it failed; `missing`: it could not be run, or the
 * kernel lacks something.
 */
type NetfilterCode = 'timeout' | 'failed' | 'missing';

/** A failure. `details` is for the reader who wants to know more: the input, or what to do. */
export class NetfilterError extends Error {
  override name = 'NetfilterError';
  readonly code: NetfilterCode;
  readonly details: string;

  constructor(code: NetfilterCode, message: string, details = '', options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.details = details;
  }
}

/** Whether an error is such a failure with one of these codes. */
export const isNetfilterError = (error: unknown, ...codes: NetfilterCode[]): boolean =>
  error instanceof NetfilterError && (codes.length === 0 || codes.includes(error.code));
