// The one place that names the library which pages are made of. html escapes every text that
// is put into it; nothing here or elsewhere makes markup of text.
export {
  h,
  html,
  render,
  createContext,
  useCallback,
  useContext,
  useEffect,
  useErrorBoundary,
  useLayoutEffect,
  useMemo,
  useReducer,
  useRef,
  useState,
} from "../vendor/preact-htm.js";
