// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"errors"
	"maps"
	"sync"
	"weak"
)

// A shared keeps what is dear to make and something still refers to, by a key
// that says all of what it is made of. The zero shared is empty. It is safe for
// concurrent use.
type shared[T any] struct {
	mu     sync.Mutex // never held while something is made
	made   map[string]weak.Pointer[T]
	making map[string]*making[T]
}

// A making is of something that several callers may wait for.
type making[T any] struct {
	done chan struct{}
	made *T
	err  error
}

// once returns what has a key, made by whoever asks first.
func (s *shared[T]) once(key string, work func() (*T, error)) (*T, error) {
	s.mu.Lock()
	maps.DeleteFunc(s.made, func(_ string, p weak.Pointer[T]) bool { return p.Value() == nil })
	if made := s.made[key].Value(); made != nil {
		s.mu.Unlock()
		return made, nil
	}
	m, others := s.making[key]
	if !others {
		m = &making[T]{done: make(chan struct{}), err: errors.New("loading the module panicked")}
		if s.making == nil {
			s.made, s.making = map[string]weak.Pointer[T]{}, map[string]*making[T]{}
		}
		s.making[key] = m
	}
	s.mu.Unlock()
	if others {
		<-m.done
		return m.made, m.err
	}
	defer close(m.done)
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.making, key)
		if m.err == nil {
			s.made[key] = weak.Make(m.made)
		}
	}()
	m.made, m.err = work()
	return m.made, m.err
}

// all returns what something refers to, in any order.
func (s *shared[T]) all() []*T {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*T, 0, len(s.made))
	for _, p := range s.made {
		if made := p.Value(); made != nil {
			all = append(all, made)
		}
	}
	return all
}
